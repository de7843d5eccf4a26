package sinktest

import "testing"

func TestARealMarathonPasses(t *testing.T) {
	for _, version := range []string{"1.11", "1.5"} {
		t.Run(version, func(t *testing.T) {
			// The defaults of two and five minutes would only make the cases wait.
			lab := StartLab(t, LabOptions{Version: version, Flags: []string{"--decline_offer_duration", "2000", "--scale_apps_interval", "15000"}})
			Run(t, func(*testing.T) Target { return Target{URL: lab.URL} })
		})
	}
}
