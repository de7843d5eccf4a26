package histories_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
	"github.com/esfleet/esfleet/test/histories/world"
)

// The kinds of faults, beside those of marathonsim. Each function lets one begin, and may return what ends it.
var faults = map[kind]func(l *life, e event) (end func()){
	"daemon: killed":              func(l *life, e event) func() { l.w.DieAt(1+e.n%9, world.Moment(e.n%3)); return nil },
	"daemon: killed as it starts": func(l *life, e event) func() { l.w.Die(); l.w.DieAt(1+e.n%4, world.Moment(e.n%3)); return nil },
	"daemon: dies at rest":        func(l *life, _ event) func() { l.w.Die(); return nil },
	"daemon: stands still":        func(l *life, e event) func() { l.w.Pause(e.span); return nil },
	"daemon: a second one":        func(l *life, _ event) func() { return l.w.Live() },
	"daemon: its clock jumps": func(l *life, e event) func() {
		l.w.ClockJumps([]time.Duration{time.Hour, -time.Hour, 40 * time.Second, -40 * time.Second}[e.n%4])
		return func() { l.w.ClockJumps(0) }
	},
	"journal: full": func(l *life, _ event) func() {
		l.w.FillJournal(true)
		return func() { l.w.FillJournal(false) }
	},
	"journal: lost":            func(l *life, _ event) func() { l.w.Die(); l.w.LoseJournal(); return nil },
	"journal: torn":            func(l *life, e event) func() { l.w.Die(); l.w.TearJournal(int64(1 + e.n*400)); return nil },
	"events: none for a while": func(l *life, e event) func() { l.w.Deafen(e.span); return nil },

	"hand: edits an app": func(l *life, _ event) func() {
		return l.hand(http.MethodPut, "/v2/apps/g/c/discovery", `{"env":{"HAND":"made"}}`)
	},
	"hand: scales the data nodes": func(l *life, _ event) func() {
		if !l.w.Law.OneDefinition(group + "/es-datanode") {
			return nil // in mid-roll Marathon would place two nodes on one host, which a person has to mend
		}
		return l.hand(http.MethodPut, "/v2/apps/g/c/es-datanode", fmt.Sprintf(`{"instances":%d}`, l.w.Instances(group+"/es-datanode")+1))
	},
	"hand: deletes an app":  func(l *life, _ event) func() { return l.hand(http.MethodDelete, "/v2/apps/g/c/discovery", "") },
	"hand: restarts an app": func(l *life, _ event) func() { return l.hand(http.MethodPost, "/v2/apps/g/c/discovery/restart", "{}") },
	"hand: opens the gate":  func(l *life, _ event) func() { return l.hand(http.MethodPut, "/v2/apps/g/c/gate", `{"instances":1}`) },
	"hand: edits the gate just before a step": func(l *life, e event) func() {
		l.w.AtStep(func() {
			_ = l.hand(http.MethodPut, "/v2/apps/g/c/gate", fmt.Sprintf(`{"backoffFactor":%d}`, 2+e.n%7))
		})
		return nil
	},
	"hand: fills a neighbour": func(l *life, _ event) func() {
		return l.hand(http.MethodPut, "/v2/apps//other/shop", `{"instances":3}`)
	},

	"es: frozen": func(l *life, e event) func() {
		m, ok := l.member(e.n)
		if !ok {
			return nil
		}
		_ = l.w.Nodes.Freeze(m.Task)
		return func() { _ = l.w.Nodes.Thaw(m.Task) } // it may have ended meanwhile
	},
	"es: frozen just before a turn": func(l *life, e event) func() {
		m, ok := l.member(e.n)
		if !ok {
			return nil
		}
		l.w.AtFlush(func() { _ = l.w.Nodes.Freeze(m.Task) })
		return func() { _ = l.w.Nodes.Thaw(m.Task) }
	},
	"es: partitioned": func(l *life, e event) func() {
		m, ok := l.member(e.n)
		if !ok {
			return nil
		}
		l.w.Nodes.Partition(group, m.Task)
		return func() { l.w.Nodes.Heal(group) }
	},
	"es: split in halves": func(l *life, e event) func() {
		var some []marathon.TaskID
		for i, m := range l.members() {
			if i%2 == e.n%2 {
				some = append(some, m.Task)
			}
		}
		l.w.Nodes.Partition(group, some...)
		return func() { l.w.Nodes.Heal(group) }
	},
	"es: another cluster on the port": func(l *life, e event) func() {
		m, ok := l.member(e.n)
		if !ok {
			return nil
		}
		_ = l.w.Nodes.Pose(m.Task, &pretend.Impostor{Cluster: "shop", UUID: "somebody-elses-uuid-00"})
		return func() { _ = l.w.Nodes.Pose(m.Task, nil) }
	},
	"es: a node under a new name": func(l *life, e event) func() {
		m, ok := l.member(e.n)
		if !ok {
			return nil
		}
		_ = l.w.Nodes.Rename(m.Task, "renamed")
		return func() { _ = l.w.Nodes.Rename(m.Task, m.Name) }
	},
	"es: flapping colour": func(l *life, _ event) func() { l.w.Nodes.FailCopy(group, "orders"); return nil },
	"es: recovery slow": func(l *life, e event) func() {
		l.w.Nodes.SlowRecovery(group, float64(2+e.n%20))
		return func() { l.w.Nodes.SlowRecovery(group, 0) }
	},
	"es: recovery never ends": func(l *life, _ event) func() {
		l.w.Nodes.StallRecovery(group, true)
		return func() { l.w.Nodes.StallRecovery(group, false) }
	},
	"es: drain refused": func(l *life, _ event) func() {
		l.w.Nodes.RefuseMoves(group, true)
		return func() { l.w.Nodes.RefuseMoves(group, false) }
	},
	"es: disk full": func(l *life, e event) func() {
		host := l.host(e.n)
		l.w.Nodes.FillDisk(host, 0.9)
		return func() { l.w.Nodes.FillDisk(host, 0) }
	},
	"es: slow to start": func(l *life, e event) func() {
		host := l.host(e.n)
		l.w.Nodes.SlowBoot(host, e.span/4)
		return func() { l.w.Nodes.SlowBoot(host, 0) }
	},
	"es: pre-run fails": func(l *life, e event) func() {
		host := l.host(e.n)
		l.w.Nodes.FailStart(host, time.Second, errors.New("pre-run.sh ended with 1"))
		return func() { l.w.Nodes.FailStart(host, 0, nil) }
	},
	"es: answers late":       answers(pretend.Answers{Late: 3 * time.Second}),
	"es: answers very late":  answers(pretend.Answers{Late: 40 * time.Second}),
	"es: never answers":      answers(pretend.Answers{Never: true}),
	"es: 429":                answers(pretend.Answers{Status: http.StatusTooManyRequests}),
	"es: 500":                answers(pretend.Answers{Status: http.StatusInternalServerError}),
	"es: 401":                answers(pretend.Answers{Status: http.StatusUnauthorized}),
	"es: half an answer":     answers(pretend.Answers{Cut: true}),
	"es: connection reset":   answers(pretend.Answers{Reset: true}),
	"es: half a shard table": answers(pretend.Answers{Cut: true, Path: "/_cluster/state"}),
	"es: settings refused":   answers(pretend.Answers{Status: http.StatusServiceUnavailable, Path: "/_cluster/settings"}),

	"left: allocation off":           left("PUT", "/_cluster/settings", `{"persistent":{"cluster.routing.allocation.enable":"none"}}`),
	"left: allocation off for a run": left("PUT", "/_cluster/settings", `{"transient":{"cluster.routing.allocation.enable":"primaries"}}`),
	"left: a node excluded":          left("PUT", "/_cluster/settings", `{"persistent":{"cluster.routing.allocation.exclude._name":"data-127.0.0.12"}}`),
	"left: a vote excluded":          left("POST", "/_cluster/voting_config_exclusions?node_names=master-127.0.0.99", ""),
	"left: no delay":                 left("PUT", "/_all/_settings", `{"index.unassigned.node_left.delayed_timeout":"0s"}`),
	"left: a setting of git's":       left("PUT", "/_cluster/settings", `{"persistent":{"cluster.routing.allocation.cluster_concurrent_rebalance":"9"}}`),
	"left: no template":              left("DELETE", "/_template/esfleet-reliability", ""),
	"es: a snapshot runs": func(l *life, e event) func() {
		_ = l.w.Nodes.Snapshot(group, "repo", fmt.Sprint("s", e.n), e.span) // without a master there is none
		return nil
	},
}

func answers(a pretend.Answers) func(*life, event) func() {
	return func(l *life, e event) func() {
		if e.n%2 == 0 { // of one node
			if m, ok := l.member(e.n / 2); ok {
				a.Task = m.Task
			}
		}
		l.w.Nodes.Disturb(group, a)
		return func() { l.w.Nodes.Undisturb(group) }
	}
}

// left is a change of the running cluster by hand, which nobody takes back.
func left(method, path, body string) func(*life, event) func() {
	return func(l *life, e event) func() {
		m, ok := l.member(e.n)
		if !ok {
			return nil
		}
		for _, a := range l.w.Sim.View().Apps {
			for _, t := range a.Tasks {
				if t.ID != m.Task {
					continue
				}
				r, err := http.NewRequest(method, fmt.Sprintf("http://%s:%d%s", t.Host, t.Ports[0], path), strings.NewReader(body))
				if err != nil {
					l.w.T.Fatalf("%v", err)
				}
				r.Header.Set("Content-Type", "application/json")
				if res, err := l.w.Sim.Transport().RoundTrip(r); err == nil {
					_, _ = new(bytes.Buffer).ReadFrom(res.Body)
					_ = res.Body.Close()
				}
			}
		}
		return nil
	}
}

// hand does something to Marathon as a person would; whether it is refused is the person's business.
func (l *life) hand(method, path, body string) func() {
	if strings.Contains(path, "discovery") && method == http.MethodDelete {
		l.w.Law.Allow(group + "/discovery")
	}
	l.w.Hand(method, strings.Replace(path, "//", "/", 1), body)
	return nil
}

func (l *life) members() []pretend.Member { return l.w.Nodes.Cluster(group).Members }

func (l *life) member(n int) (pretend.Member, bool) {
	all := l.members()
	if len(all) == 0 {
		return pretend.Member{}, false
	}
	return all[n%len(all)], true
}

func (l *life) host(n int) string { return fmt.Sprintf("127.0.0.%d", 11+n%agents) }
