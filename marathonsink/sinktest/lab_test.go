package sinktest

import (
	"os"
	"testing"
)

// TestARealMarathonPasses holds the API of the newest and the oldest one that can be had against the suite; for the whole
// table (make conformance) all cases on all four.
func TestARealMarathonPasses(t *testing.T) {
	whole := os.Getenv(envReport) != ""
	at := make(chan struct{}, 2) // how many Marathons run at once
	for _, v := range suiteVersions {
		short := generation(v)
		if !whole && short != "1.11" && short != "1.5" {
			continue
		}
		t.Run(short, func(t *testing.T) {
			col := table.column("real " + short)
			if _, col.why = labScript(t); col.why != "" {
				t.Skip(col.why)
			}
			t.Parallel()
			at <- struct{}{}
			defer func() { <-at }()
			nodes := &Nodes{}
			cmd := nodes.serve(t)
			// With the defaults of two and five minutes the cases would only wait.
			lab := StartLab(t, LabOptions{Version: short, Agents: suiteAgents, Flags: labFlags(short)})
			inLab(t, v, Target{URL: lab.URL, Nodes: nodes, NodeCmd: cmd, Agents: lab.Agents, Control: lab}, col, whole)
		})
	}
}

// labFlags make waits short. The lab itself sets min_revive_offers_interval up to 1.8.
func labFlags(version string) []string {
	flags := []string{"--decline_offer_duration", "2000", "--scale_apps_interval", "15000"}
	if version == "1.11" {
		flags = append(flags, "--min_revive_offers_interval", "100")
	}
	return flags
}
