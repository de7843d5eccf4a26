package plan

import (
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/spec"
)

func TestTheElectedMasterIsRestartedLastUnlessItStaysIll(t *testing.T) {
	ill := func(since time.Duration) func(*walk) {
		return func(k *walk) {
			k.app(spec.Master).Tasks[0].HealthCheckResults = []marathon.HealthResult{{LastFailure: stamp(k.facts.Now.Add(-since))}}
		}
	}
	for _, c := range []struct {
		name string
		bend func(*walk)
		want string
	}{
		{"it is well", func(*walk) {}, "stop-node data-host-0"},
		{"its check has just failed: nobody is touched", ill(time.Second), ""},
		{"its check has failed for long", ill(recovers), "stop-node master-host-0"},
		{"it has just been started, and Marathon has not heard of it yet", func(k *walk) {
			x := &k.app(spec.Master).Tasks[0]
			x.HealthCheckResults, x.StagedAt, x.StartedAt = nil, stamp(k.facts.Now), stamp(k.facts.Now)
		}, ""},
		{"it is no member any more, and another one leads", func(k *walk) { ill(time.Second)(k); k.away("master-host-0") }, "stop-node master-host-0"},
		{"another master is ill", func(k *walk) { ill(time.Second)(k); k.es.Master = "master-host-1" }, "stop-node master-host-0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newWalk(t, standard().all())
			k.git(changed()...)
			k.takes(2) // committed
			c.bend(k)
			got := ""
			if s := ptr(k.look()).Next(); s != nil {
				got = string(s.Verb) + " " + s.Node
			}
			k.expect(got, c.want)
		})
	}
}

func TestAnElectedMasterThatRecoversIsTheLastOfTheRoll(t *testing.T) {
	k := newWalk(t, standard().all())
	k.git(changed()...)
	k.takes(2)
	well := k.app(spec.Master).Tasks[0].HealthCheckResults
	k.app(spec.Master).Tasks[0].HealthCheckResults = []marathon.HealthResult{{LastFailure: stamp(k.facts.Now)}}
	k.expect(k.run(), "")
	k.app(spec.Master).Tasks[0].HealthCheckResults = well
	k.expect(k.run(), rollData+", "+rollMaster)
	k.ends("converged")
}
