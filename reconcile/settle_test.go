package reconcile_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/reconcile"
)

func TestMoreClustersThanArePermittedAtOnceHaveTheirStepsOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 6)
		p.parallel = 1
		r := p.reconciler(nil)
		v := r.Look(t.Context(), fleet(t, nil))
		taken := make(chan int, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { taken <- len(r.Act(ctx, v)) }()
		select {
		case n := <-taken:
			if n != len(v.Clusters) {
				t.Errorf("%d of %d clusters had their step", n, len(v.Clusters))
			}
		case <-time.After(time.Hour): // of virtual time
			t.Fatal("the second cluster waits for ever")
		}
	})
}

func TestAfterALostAnswerAClusterRestsForLongerThanALeaderChangeTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 6)
		var mu sync.Mutex
		var writes []time.Time // to one cluster, from the lost answer on
		p.wire.disturb = func(_ int, r *http.Request, pass func() (*http.Response, error)) (*http.Response, error) {
			if r.Method != http.MethodPost || bodyOf(r) != " /search/logs/gate" && bodyOf(r) != " /search/logs/discovery" {
				return pass()
			}
			mu.Lock()
			writes = append(writes, time.Now())
			first := len(writes) == 1
			mu.Unlock()
			res, err := pass()
			if first && err == nil {
				_ = res.Body.Close()
				return nil, errors.New("the answer was lost")
			}
			return res, err
		}
		mustConverge(t, p.converge(p.reconciler(nil), fleet(t, nil)))
		if len(writes) != 2 || writes[1].Sub(writes[0]) < 15*time.Second {
			t.Errorf("writes at %v", writes)
		}
	})
}

func TestWhatANewLeaderShowsIsNotActedOnAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, 6)
		r := p.reconciler(nil)
		mustConverge(t, p.converge(r, fleet(t, nil)))
		in := fleet(t, map[string]func(string) string{logs: replaced("port: 9310", "port: 9311")})
		p.sim.LeaderChange()
		var v *reconcile.View
		for v = r.Look(t.Context(), in); len(v.Unknown) > 0; v = r.Look(t.Context(), in) {
			time.Sleep(time.Second)
		}
		if done := r.Act(t.Context(), v); len(done) > 0 {
			t.Errorf("%d steps were taken, the first is %s", len(done), done[0].Step.Verb)
		}
		time.Sleep(16 * time.Second)
		if done := r.Act(t.Context(), r.Look(t.Context(), in)); len(done) == 0 {
			t.Error("nothing is done after the rest either")
		}
	})
}
