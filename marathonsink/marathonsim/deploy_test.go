package marathonsim_test

import (
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

func TestARollOfTwentyFourResidentsGoesOneByOneAndKeepsEveryVolume(t *testing.T) {
	inVirtualTime(t, marathonsim.Options{Agents: marathonsim.DefaultAgents(24)}, func(l lab) {
		l.must(201, "PUT", "/v2/apps/es", resident("/es", 24, "1"))
		l.settle(time.Minute)
		before := map[marathon.InstanceID]string{}
		for _, task := range l.tasks("/es") {
			before[task.ID.Instance()] = task.Host + task.LocalVolumes[0].PersistenceID
		}
		if len(before) != 24 {
			t.Fatalf("%d tasks, want 24", len(before))
		}
		l.must(200, "PUT", "/v2/apps/es?partialUpdate=false", resident("/es", 24, "2"))
		least := 24
		for l.deployments() > 0 {
			least = min(least, running(l.tasks("/es")))
			time.Sleep(50 * time.Millisecond)
		}
		if least != 23 {
			t.Errorf("at least %d ran at any time, want 23", least)
		}
		version := l.app("/es")["version"]
		for _, task := range l.tasks("/es") {
			if before[task.ID.Instance()] != task.Host+task.LocalVolumes[0].PersistenceID {
				t.Errorf("%s moved", task.ID)
			}
			if task.Version != version || !task.Running() {
				t.Errorf("%s is %s at %s", task.ID, task.State, task.Version)
			}
		}
	})
}
