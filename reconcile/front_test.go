package reconcile_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile"
)

// withFront gives search/logs a front for its clients, and some more.
func withFront(more ...func(string) string) map[string]func(string) string {
	return map[string]func(string) string{logs: func(s string) string {
		s = replaced("  port: 9310 ", "  clientPort: 9200\n  drain: 20s\n  port: 9310 ")(s)
		for _, f := range more {
			s = f(s)
		}
		return s
	}}
}

// out is the label of who is out of the front.
func (p *pool) out() string {
	for _, a := range p.sim.View().Apps {
		if a.ID == "/search/logs/gate" {
			return a.Labels[marathon.LabelDetached]
		}
	}
	return ""
}

// once runs a reconciler until it has taken one step, and forgets it; false if there was none to take.
func (p *pool) once(j *journal, in reconcile.Input) bool {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 2*time.Hour)
	defer cancel()
	acted := false
	err := p.reconciler(j).Run(ctx, reconcile.Pace{}, func() *reconcile.Input { return &in }, nil, func(v *reconcile.View, done []reconcile.Done) bool {
		acted = len(done) > 0
		return acted || v.Settled()
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return acted
}

func TestClientsAreLedAwayFromEachNodeBeforeItStopsAndBackAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 6)
		j := &journal{}
		mustConverge(t, p.converge(p.reconciler(j), fleet(t, nil)))
		created := len(j.entries)
		mustConverge(t, p.converge(p.reconciler(j), fleet(t, withFront())))
		if n := len(j.entries) - created; n != 1 || j.entries[created].Verb != "update" {
			t.Errorf("to take a front changes more than the discovery app: %+v", j.entries[created:])
		}
		created = len(j.entries)
		in := fleet(t, withFront(replaced("queries.cache.size: 5%", "queries.cache.size: 6%")))
		var outs []string
		for range 60 { // each step by a daemon that knows nothing of the one before
			if !p.once(j, in) {
				break
			}
			outs = append(outs, p.out())
		}
		mustConverge(t, p.converge(p.reconciler(j), in))
		want := []string{"commit", "close-gate"}
		for range 3 {
			want = append(want, "detach", "stop-node", "start-node", "attach")
		}
		var verbs []string
		for i, e := range j.entries[created:] {
			verbs = append(verbs, e.Verb)
			if e.Verb == "stop-node" {
				if led := e.Time.Sub(j.entries[created+i-1].Time); led < 20*time.Second {
					t.Errorf("a node stops %s after clients were led away from it", led)
				}
			}
		}
		if !slices.Equal(verbs, want) {
			t.Errorf("did  %q\nwant %q", verbs, want)
		}
		nodes := map[string]bool{}
		for i, out := range outs {
			if inTurn := i > 1 && verbs[i] != "attach"; inTurn != (out != "") || strings.Contains(out, ",") {
				t.Errorf("after %s out is %q", verbs[i], out)
			}
			nodes[out] = true
		}
		if len(nodes) != 4 || p.out() != "" { // each of three, and nobody
			t.Errorf("out were %v, at last %q", nodes, p.out())
		}
	})
}
