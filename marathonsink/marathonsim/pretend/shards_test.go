package pretend_test

import (
	"testing"
	"time"
)

func TestADataNodeThatRestartsTurnsTheClusterYellowAndGreenAgain(t *testing.T) {
	play(t, func(s stage) {
		s.put("master", 3)
		s.put("data", 3)
		s.formed(6)
		for range 30 {
			s.write("pretended")
		}
		_, task := s.node("data")
		if err := s.sim.KillTask(task); err != nil {
			t.Fatal(err)
		}
		s.in("yellow", 5*time.Second)
		s.green(30 * time.Second)
		v := s.fleet.Cluster("/search/logs")
		if len(v.Lost) > 0 || v.Acknowledged != 30 || len(v.Violations) > 0 {
			t.Errorf("%+v", v)
		}
	})
}
