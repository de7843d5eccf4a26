package esclient_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/reconcile/esclient"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

func ptr(s string) *string { return &s }

// says answers what is written with a status and a body, and what is asked as small does.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			small().node(w, r)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const done = `{"acknowledged":true}`

func TestAChangeIsOneCallInTheWordsOfItsVersion(t *testing.T) {
	on := func(dist spec.Distribution, major, minor int) (spec.Distribution, spec.Version) {
		return dist, spec.Version{Major: major, Minor: minor}
	}
	const es, fork = spec.ElasticsearchDist, spec.OpenSearchDist
	settings := esgate.Change{Persistent: map[string]*string{"cluster.routing.allocation.exclude._name": nil},
		Transient: map[string]*string{"cluster.routing.allocation.enable": nil, "x": ptr("y")}}
	exclude := esgate.Change{ExcludeVotes: []string{"m4", "m5"}}
	for _, c := range []struct {
		name         string
		dist         spec.Distribution
		major, minor int
		change       esgate.Change
		want         string // "" is: there is no such call
	}{
		{"settings", es, 7, 17, settings, `PUT a:9200/_cluster/settings?master_timeout=2500ms&timeout=10000ms {"persistent":{"cluster.routing.allocation.exclude._name":null},"transient":{"cluster.routing.allocation.enable":null,"x":"y"}}`},
		{"settings before 5 know no null", es, 2, 4, settings, `PUT a:9200/_cluster/settings?master_timeout=2500ms&timeout=10000ms {"persistent":{"cluster.routing.allocation.exclude._name":""},"transient":{"cluster.routing.allocation.enable":"all","x":"y"}}`},
		{"settings of a fork whose number is low", fork, 1, 3, settings, `PUT a:9200/_cluster/settings?master_timeout=2500ms&timeout=10000ms {"persistent":{"cluster.routing.allocation.exclude._name":null},"transient":{"cluster.routing.allocation.enable":null,"x":"y"}}`},
		{"a setting that version 2 cannot take back", es, 2, 4, esgate.Change{Transient: map[string]*string{"x": nil}}, ""},
		{"a template", es, 7, 17, esgate.Change{Template: &esgate.Template{Name: "rules", Path: "_template/rules", Body: map[string]any{"order": 1}}}, `PUT a:9200/_template/rules?master_timeout=2500ms {"order":1}`},
		{"a template elsewhere", es, 7, 17, esgate.Change{Template: &esgate.Template{Name: "rules", Path: "_cluster/settings"}}, ""},
		{"a delay", es, 2, 4, esgate.Change{DelayedTimeout: "5m"}, `PUT a:9200/_all/_settings?allow_no_indices=true&expand_wildcards=all&ignore_unavailable=true&master_timeout=2500ms&timeout=10000ms {"index.unassigned.node_left.delayed_timeout":"5m"}`},
		{"votes", es, 7, 8, exclude, `POST a:9200/_cluster/voting_config_exclusions?node_names=m4%2Cm5&timeout=10000ms`},
		{"votes of the fork", fork, 1, 0, exclude, `POST a:9200/_cluster/voting_config_exclusions?node_names=m4%2Cm5&timeout=10000ms`},
		{"votes before 7.8", es, 7, 7, exclude, `POST a:9200/_cluster/voting_config_exclusions/m4%2Cm5?timeout=10000ms`},
		{"votes before 7", es, 6, 8, exclude, ""},
		{"the votes of nobody", es, 7, 17, esgate.Change{ExcludeVotes: []string{}}, ""},
		{"the votes of all", es, 7, 17, esgate.Change{ExcludeVotes: []string{"*"}}, ""},
		{"votes given back", es, 8, 7, esgate.Change{ClearVotes: true}, `DELETE a:9200/_cluster/voting_config_exclusions?wait_for_removal=false`},
		{"votes given back before 7", es, 6, 8, esgate.Change{ClearVotes: true}, ""},
		{"flush", es, 7, 6, esgate.Change{Flush: true}, `POST a:9200/_flush`},
		{"flush of the fork", fork, 1, 2, esgate.Change{Flush: true}, `POST a:9200/_flush`},
		{"flush before 7.6", es, 7, 5, esgate.Change{Flush: true}, `POST a:9200/_flush/synced`},
		{"nothing", es, 7, 17, esgate.Change{}, ""},
		{"no setting", es, 7, 17, esgate.Change{Persistent: map[string]*string{}}, ""},
		{"two things", es, 7, 17, esgate.Change{Flush: true, ClearVotes: true}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var seen record
			target := target()
			target.Dist, target.Version = on(c.dist, c.major, c.minor)
			n := nodes{"a:9200": seen.of(says(200, done)), "b:9200": seen.of(says(200, done))}
			err := esclient.New(n, 0).Write(t.Context(), target, c.change)
			if c.want == "" {
				var e *esclient.Error
				if !errors.As(err, &e) || e.Kind != esclient.KindNotSent || esclient.Unknown(err) || esclient.Refused(err) || len(seen.sent) != 0 {
					t.Errorf("%v after %q", err, seen.sent)
				}
				return
			}
			if err != nil || !slices.Equal(seen.writes(), []string{c.want}) {
				t.Errorf("%v\n got %q\nwant %q", err, seen.writes(), c.want)
			}
		})
	}
}

func TestNothingIsWrittenToAnotherCluster(t *testing.T) {
	green := says(200, done)
	is := func(old, by string) http.HandlerFunc {
		s := small().edited(t, "state", old, by)
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet {
				green(w, r)
				return
			}
			s.node(w, r)
		}
	}
	for name, c := range map[string]struct {
		nodes  nodes
		change func(*esgate.Target)
		why    string
	}{
		"two nodes of another uuid":         {nodes{"a:9200": is("uuid-1", "uuid-2"), "b:9200": is("uuid-1", "uuid-2")}, nil, "another cluster"},
		"two nodes of another name":         {nodes{"a:9200": is(`"logs"`, `"shop"`), "b:9200": is(`"logs"`, `"shop"`)}, nil, "another cluster"},
		"the second node is another's":      {nodes{"a:9200": green, "b:9200": is("uuid-1", "uuid-2")}, nil, "different clusters"},
		"two nodes with a master each":      {nodes{"a:9200": green, "b:9200": is(`"master_node":"A"`, `"master_node":"B"`)}, nil, "masters"},
		"only one answers":                  {nodes{"a:9200": green}, nil, "only one of 2"},
		"no uuid is recorded":               {nodes{"a:9200": green, "b:9200": green}, func(t *esgate.Target) { t.UUID = "" }, "must be known"},
		"no name is declared":               {nodes{"a:9200": green, "b:9200": green}, func(t *esgate.Target) { t.Name = "" }, "must be known"},
		"a node that has lost its master":   {nodes{"a:9200": is(`"master_node":"A",`, ""), "b:9200": is(`"master_node":"A",`, "")}, nil, "names no master"},
		"nobody runs that could be written": {nodes{}, func(t *esgate.Target) { t.Endpoints = nil }, "no node runs"},
	} {
		t.Run(name, func(t *testing.T) {
			var seen record
			n := nodes{}
			for host, h := range c.nodes {
				n[host] = seen.of(h)
			}
			target := target()
			if c.change != nil {
				c.change(&target)
			}
			err := esclient.New(n, 0).Write(t.Context(), target, esgate.Change{DelayedTimeout: "5m"})
			if err == nil || esclient.Unknown(err) || esclient.Refused(err) || !strings.Contains(err.Error(), c.why) || !strings.Contains(err.Error(), "nothing was sent") {
				t.Errorf("got %v", err)
			}
			if len(seen.writes()) != 0 {
				t.Errorf("it wrote %q", seen.writes())
			}
		})
	}
}

func TestTheAnswerTellsWhetherAChangeHappened(t *testing.T) {
	delay, votes, flush := esgate.Change{DelayedTimeout: "5m"}, esgate.Change{ClearVotes: true}, esgate.Change{Flush: true}
	const good, refused, unknown = "good", "refused", "unknown"
	for _, c := range []struct {
		name   string
		change esgate.Change
		status int
		body   string
		want   string
	}{
		{"done", delay, 200, done, good},
		{"not all nodes know it", delay, 200, `{"acknowledged":false}`, unknown},
		{"an answer without the word", delay, 200, `{}`, unknown},
		{"an answer that is cut", delay, 200, `{"acknowledged":tr`, unknown},
		{"an empty answer", delay, 200, "", unknown},
		{"a proxy's page", delay, 200, "<html>", unknown},
		{"an index that is read-only", delay, 403, `{"error":{"type":"cluster_block_exception","reason":"read-only"}}`, refused},
		{"a value that is none", delay, 400, `{"error":{"type":"illegal_argument_exception","reason":"no unit"}}`, refused},
		{"too late", delay, 408, "", unknown},
		{"too many", delay, 429, "", unknown},
		{"a redirect", delay, 302, "", unknown},
		{"a master lost half-way", delay, 503, `{"error":{"type":"master_not_discovered_exception","reason":null}}`, unknown},
		{"a broken server", delay, 500, "", unknown},
		{"votes, whose answer is empty", votes, 200, "", good},
		{"votes, whose answer is an object", votes, 200, "{}", good},
		{"a master that is not there", votes, 400, `{"error":{"type":"illegal_argument_exception","reason":"matched no master-eligible nodes"}}`, refused},
		{"a flush that could not mark all", flush, 409, `{"_shards":{"total":4,"successful":2,"failed":2}}`, good},
		{"a delay in conflict", delay, 409, `{}`, refused},
		{"a flush", flush, 200, `{"_shards":{"total":4,"successful":4,"failed":0}}`, good},
	} {
		t.Run(c.name, func(t *testing.T) {
			var seen record
			node := seen.of(says(c.status, c.body))
			err := esclient.New(nodes{"a:9200": node, "b:9200": node}, 0).Write(t.Context(), target(), c.change)
			got := good
			switch {
			case esclient.Unknown(err):
				got = unknown
			case esclient.Refused(err):
				got = refused
			case err != nil:
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("it is %s: %v", got, err)
			}
			if n := len(seen.writes()); n != 1 {
				t.Errorf("it was sent %d times", n)
			}
			if err != nil && !strings.Contains(err.Error(), "http://a:9200") {
				t.Errorf("it does not say where: %v", err)
			}
		})
	}
}

// breaks is small's node a, of which a write gets no answer.
type breaks struct {
	err  error
	sent int
}

func (b *breaks) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet {
		return nodes{"a:9200": small().node, "b:9200": small().node}.RoundTrip(r)
	}
	b.sent++
	if b.err == nil {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return nil, b.err
}

func TestALostAnswerIsUnknownAndNothingIsSentTwice(t *testing.T) {
	reset := &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
	refused := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	for name, c := range map[string]struct {
		err     error
		unknown bool
	}{
		"the connection broke":           {reset, true},
		"the server closed it":           {io.EOF, true},
		"there never was a connection":   {refused, false},
		"no answer came within its time": {nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &breaks{err: c.err}
				start := time.Now()
				err := esclient.New(b, 2*time.Second).Write(t.Context(), target(), esgate.Change{DelayedTimeout: "5m"})
				if err == nil || esclient.Unknown(err) != c.unknown || esclient.Refused(err) || b.sent != 1 {
					t.Errorf("sent %d times: %v", b.sent, err)
				}
				if took := time.Since(start); c.err == nil && took != 8*time.Second {
					t.Errorf("it waited %s", took)
				}
			})
		})
	}
}

func TestAnErrorOfAnotherOriginIsUnknown(t *testing.T) {
	if !esclient.Unknown(io.EOF) || esclient.Unknown(nil) || esclient.Refused(io.EOF) {
		t.Error("what nobody judged is taken for judged")
	}
}
