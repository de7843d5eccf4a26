package sinktest

import (
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

func TestTheSimulatorPasses(t *testing.T) {
	for _, v := range []marathon.Version{version(1, 11, 24), version(1, 5, 15)} {
		t.Run(v.String(), func(t *testing.T) {
			Run(t, func(t *testing.T) Target {
				sim := marathonsim.New(marathonsim.Options{Version: v, LaunchDelay: time.Millisecond, StartDelay: time.Millisecond, KillDelay: time.Millisecond})
				t.Cleanup(sim.Close)
				return Target{URL: "http://marathon.sim:8080", Transport: sim.Transport(), Simulated: true}
			})
		})
	}
}
