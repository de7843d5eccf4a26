# make test does all the set-up it needs and runs everything; make quick is the half without servers.
.PHONY: test quick crash histories mutants roll conformance setup lint build demo bench fuzz clean

export CGO_ENABLED ?= 1

build: ## the program
	CGO_ENABLED=0 go build -trimpath -o esfleet ./cmd/esfleet

test: setup lint ## everything, with real Marathon, git, HAProxy and Elasticsearch where they can be had
	ESFLEET_E2E=1 sh test/told.sh go test -race -timeout 60m ./test/e2e ./... # the longest first
	ESFLEET_HISTORIES=150 sh test/told.sh go test -timeout 20m -v -run 'Histories|Replays' ./test/histories # how many, which faults, which laws

quick: ## no servers, no set-up
	go test ./...

crash: ## the daemon killed at every write of every scenario and at many reads; make test takes one call of each
	ESFLEET_E2E=all go test -count=1 -timeout 240m -v ./test/crash

histories: ## random commits and faults in random clusters: make histories N=1000 FIRST=0, or N=10m; make test runs 150 of them
	ESFLEET_HISTORIES=$(or $(N),200) ESFLEET_FIRST=$(or $(FIRST),0) go test -count=1 -timeout 240m -v -run Histories ./test/histories

mutants: ## each known kind of bug put into our own code: which of them does no test notice? make test tries a few
	ESFLEET_MUTANTS=$(or $(KIND),all) ESFLEET_MUTANTS_TABLE=$(CURDIR)/test/histories/mutants/TABLE.md go test -count=1 -timeout 240m -v ./test/histories/mutants

roll: ## the daemon and Marathon's leader killed at every write of a commit and of a turn, on real Marathon 1.11, 1.8, 1.7 and 1.5, into test/roll/ROLL.md (make test takes a part); VERSION=1.7: that one alone, and the rest of the page stays
	ESFLEET_E2E=all ESFLEET_ROLL=$(CURDIR)/test/roll/ROLL.md go test -count=1 -timeout 120m -v -run 'Dies/$(VERSION)' ./test/roll

conformance: ## every case of marathonsink/sinktest, simulator beside real Marathon 1.11, 1.8, 1.7 and 1.5, into its CONFORMANCE.md (make test takes a part); VERSION=1.7, CASE='standby|leader': those alone, and the rest of the page stays
	ESFLEET_E2E=1 ESFLEET_CONFORMANCE=$(CURDIR)/marathonsink/sinktest/CONFORMANCE.md \
	  go test -count=1 -timeout 90m -run 'TestTheSimulatorPasses|TestRecordedStreams|TestARealMarathonPasses/$(VERSION)' ./marathonsink/sinktest -case '$(CASE)'; \
	  ended=$$?; sed -n '/^- /p' marathonsink/sinktest/CONFORMANCE.md; exit $$ended

setup: ## installs what the tests need and a fresh Debian machine lacks
	sh test/setup/packages.sh
	sh test/setup/elasticsearch.sh

lint:
	@unformatted=$$(gofmt -l cmd reconcile spec render gitsrc marathonsink drift examples test); \
	  if [ -n "$$unformatted" ]; then echo "gofmt: $$unformatted"; exit 1; fi
	go vet ./...
	go tool -modfile=test/tools/go.mod staticcheck ./...

demo: ## a fleet coming up on a simulated Marathon, in the terminal
	go run ./cmd/esfleet demo

bench: ## measures what BENCHMARKS.md says, beside floors in the same run, and writes it there
	ESFLEET_BENCH=$(CURDIR)/BENCHMARKS.md go test -count=1 -timeout 60m -run '^TestReport$$' -v ./test/bench

fuzz: ## each fuzz target for a while: make fuzz FUZZTIME=10m
	sh test/fuzz.sh $(or $(FUZZTIME),30s)

clean:
	rm -rf esfleet .cache
