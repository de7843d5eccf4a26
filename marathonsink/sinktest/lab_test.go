package sinktest

import (
	"os"
	"testing"
)

// TestARealMarathonPasses holds real Marathons against the suite, one after the other. For the whole table (make
// conformance) that is every case; else the quick themes on the newest and the oldest one, and on those between what
// depends on the version.
func TestARealMarathonPasses(t *testing.T) {
	for _, v := range suiteVersions {
		pick := selection(quickDifferences)
		switch short := generation(v); {
		case os.Getenv(envReport) != "":
			pick = everyCase
		case short == "1.11" || short == "1.5":
			pick = quickThemes
		}
		t.Run(generation(v), func(t *testing.T) {
			col := table.column("real " + generation(v))
			col.ran = true
			if _, why := labScript(t); why != "" {
				col.absent = true
				t.Skip(why)
			}
			nodes := &Nodes{}
			cmd := nodes.serve(t)
			for _, user := range []string{"", guard} {
				if user != "" && len(selected(v, pick)[guarded]) == 0 {
					continue
				}
				// With the defaults of two and five minutes the cases would only wait.
				lab := StartLab(t, LabOptions{Version: generation(v), Agents: suiteAgents, Flags: labFlags(generation(v)), User: user})
				inLab(t, v, Target{URLs: lab.URLs, User: user, Nodes: nodes, NodeCmd: cmd, Agents: lab.Agents, Control: lab}, col, pick)
				lab.Stop()
			}
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
