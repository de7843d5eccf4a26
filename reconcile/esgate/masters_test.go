package esgate

import "github.com/esfleet/esfleet/spec"

// zen1 sets the quorum by hand.
func zen1(quorum int) func(*Health, *Touch) {
	return func(h *Health, t *Touch) { t.Zen1, t.Quorum, h.VotingExclusions = true, quorum, nil }
}

// two makes a cluster of two masters.
func two(h *Health, t *Touch) {
	h.lose("m3")
	h.lose("m4")
	t.Masters = 2
}

func joinMaster(h *Health, t *Touch) { t.Component = spec.Master }

var masterCases = []verdictCase{
	{"of three masters one may restart", Restart, "m1", func(_ *Health, _ *Touch) {}, "", "", false},
	{"of two masters none may", Restart, "m1", two, RuleMajority, "1 master with a vote would remain of 2, 2 are needed", true},
	{"one declared master may: there is no other way", Restart, "m1", single, "", "", false},
	{"a master without a vote does not count as one that remains", Restart, "m1", func(h *Health, _ *Touch) { h.VotingExclusions = []string{"m2"} }, RuleMajority, "2 are needed", false},
	{"one excluded by its id neither", Restart, "m1", func(h *Health, _ *Touch) { h.VotingExclusions = []string{"id-m2"} }, RuleMajority, "", false},
	{"a data node takes no vote away", Restart, "d1", two, "", "", false},
	{"a data node that can be elected does", Restart, "d1", func(h *Health, t *Touch) {
		two(h, t)
		h.lose("m2")
		h.Node("d1").MasterEligible = true
	}, RuleMajority, "", true},

	{"before 7 enough masters for the quorum must remain", Restart, "m1", zen1(3), RuleMajority, "3 are needed", false},
	{"before 7 two of three are enough", Restart, "m1", zen1(2), "", "", false},
	{"before 7 a quorum of one of three splits", Restart, "m1", zen1(1), RuleQuorum, "minimum_master_nodes is 1: with 3 masters", false},
	{"before 7 a quorum of half splits", Restart, "m1", func(h *Health, t *Touch) {
		zen1(2)(h, t)
		h.Nodes = append(h.Nodes, node("m4", spec.Master))
	}, RuleQuorum, "with 4 masters", false},
	{"a quorum does not matter to data nodes", Restart, "d1", zen1(1), "", "", false},
	{"a crashed master is started whatever the quorum", Restart, "m2", func(h *Health, t *Touch) { zen1(1)(h, t); h.lose("m2") }, "", "", false},

	{"before 7 a master joins after the quorum was raised", Join, "", func(h *Health, t *Touch) { joinMaster(h, t); zen1(2)(h, t) }, RuleQuorum, "with 4 masters", false},
	{"before 7 a master joins a high enough quorum", Join, "", func(h *Health, t *Touch) { joinMaster(h, t); zen1(3)(h, t) }, "", "", false},
	{"before 7 a master that is away counts", Join, "", func(h *Health, t *Touch) { joinMaster(h, t); zen1(2)(h, t); h.lose("m2") }, RuleQuorum, "with 4 masters", false},
	{"before 7 masters join one by one", Join, "", func(h *Health, t *Touch) { joinMaster(h, t); zen1(4)(h, t); t.Adds = 2 }, RuleQuorum, "2 masters would join at once", true},
	{"before 7 a second master does not join", Join, "", func(h *Health, t *Touch) { joinMaster(h, t); single(h, t); zen1(2)(h, t) }, RulePair, "one master", true},
	{"before 7 data nodes join whatever the quorum", Join, "", func(h *Health, t *Touch) { zen1(1)(h, t); t.Adds = 5 }, "", "", false},
	{"before 7 data nodes that can be elected do not", Join, "", func(h *Health, t *Touch) { zen1(1)(h, t); h.Node("d3").MasterEligible = true }, RuleQuorum, "", false},
	{"from 7 on masters join", Join, "", func(h *Health, t *Touch) { joinMaster(h, t); t.Adds = 2 }, "", "", false},
	{"from 7 on masters join a single one", Join, "", func(h *Health, t *Touch) { joinMaster(h, t); single(h, t) }, "", "", false},

	{"a master gives up its vote before it stops", Stop, "m4", func(h *Health, _ *Touch) { h.VotingExclusions = nil }, RuleVotes, "m4 may still vote", false},
	{"the vote may be excluded by id", Stop, "m4", func(h *Health, _ *Touch) { h.VotingExclusions = []string{"id-m4"} }, "", "", false},
	{"the vote of another is not its own", Stop, "m4", func(h *Health, _ *Touch) {
		h.VotingExclusions = []string{"m3"}
		h.Nodes = append(h.Nodes, node("m5", spec.Master))
	}, RuleVotes, "may still vote", false},
	{"less than half give up their votes", Stop, "m4", func(h *Health, _ *Touch) { h.VotingExclusions = []string{"m4", "m3"} }, RuleMajority, "", false},
	{"not even where fewer are declared", Stop, "m4", func(h *Health, t *Touch) { h.VotingExclusions = []string{"m4", "m3"}; t.Masters = 1; h.lose("m2") }, RuleMajority, "", false},
	{"no master stops while another is away", Stop, "m4", func(h *Health, _ *Touch) { h.lose("m3") }, RuleComplete, "3 of 4 masters", false},
	{"of two masters none stops", Stop, "m1", func(h *Health, t *Touch) { two(h, t) }, RulePair, "of 2 masters", true},
	{"of three one may, if its vote is excluded", Stop, "m3", func(h *Health, t *Touch) { h.lose("m4"); t.Masters = 3 }, "", "", false},
	{"before 7 a master stops without a vote", Stop, "m4", zen1(3), "", "", false},
	{"before 7 the quorum must not be lowered before", Stop, "m4", zen1(2), RuleQuorum, "with 4 masters", false},
	{"before 7 those that remain must be able to elect", Stop, "m4", zen1(4), RuleMajority, "4 are needed", false},
	{"a master that is gone for good may stop", Stop, "m4", func(h *Health, _ *Touch) { h.lose("m4"); h.VotingExclusions = nil }, "", "", false},
	{"a data node stops whoever votes", Stop, "d4", func(h *Health, t *Touch) { two(h, t) }, "", "", false},
	{"a stopped master is wiped while all others are there", Wipe, "d4", func(h *Health, t *Touch) {
		t.Node, t.Instance, t.Component, t.Leaving = "m4", "i-m4", spec.Master, []string{"m4"}
		t.Data = 3
	}, "", "", false},
	{"it is not while one is away: two would be blank", Wipe, "d4", func(h *Health, t *Touch) {
		t.Node, t.Instance, t.Component, t.Leaving = "m4", "i-m4", spec.Master, []string{"m4"}
		h.lose("m3")
	}, RuleComplete, "2 of 3 masters", false},
}
