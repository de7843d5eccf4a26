package esgate

import (
	"time"

	"github.com/esfleet/esfleet/spec"
)

var knowledgeCases = []verdictCase{
	{"a kind that nobody knows is refused", Restart, "d1", func(_ *Health, t *Touch) { t.Kind = "explode" }, RuleTouch, `"explode"`, false},
	{"a restart of no node is refused", Restart, "d1", func(_ *Health, t *Touch) { t.Node = "" }, RuleTouch, "names no node", false},
	{"a drain of no node is refused", Drain, "d1", func(_ *Health, t *Touch) { t.Node = "" }, RuleTouch, "names no node", false},
	{"a wipe of no node is refused", Wipe, "d4", func(_ *Health, t *Touch) { t.Node = "" }, RuleTouch, "names no node", false},

	{"nothing is committed before Elasticsearch was asked", Commit, "", func(h *Health, _ *Touch) { *h = Health{} }, RuleUnknown, "not asked", false},
	{"an answer that was late is no answer", Restart, "d1", func(h *Health, _ *Touch) { h.Known, h.Why = false, "GET /_nodes: timeout" }, RuleUnknown, "GET /_nodes: timeout", false},
	{"an unknown cluster says at least that", Drain, "d1", func(h *Health, _ *Touch) { h.Known = false }, RuleUnknown, "is not known", false},
	{"a reading that claims to be known but was not asked is none", Stop, "d4", func(h *Health, _ *Touch) { h.Asked = false }, RuleUnknown, "not asked", false},
	{"data nodes join whatever Elasticsearch says", Join, "", func(h *Health, _ *Touch) { *h = Health{} }, "", "", false},
	{"masters do not join an unknown cluster", Join, "", func(h *Health, t *Touch) { h.Known, t.Component = false, spec.Master }, RuleUnknown, "", false},
	{"before 7 data nodes do not join an unknown cluster: they could be masters", Join, "", func(h *Health, t *Touch) { h.Known, t.Zen1 = false, true }, RuleUnknown, "", false},
	{"ingest nodes join an unknown cluster before 7 too", Join, "", func(h *Health, t *Touch) { h.Known, t.Zen1, t.Component = false, true, spec.Ingest }, "", "", false},

	{"a reading just young enough counts", Restart, "d1", func(h *Health, _ *Touch) { h.At = noon.Add(-10 * time.Second) }, "", "", false},
	{"a reading too old by a moment does not", Restart, "d1", func(h *Health, _ *Touch) { h.At = noon.Add(-10*time.Second - 1) }, RuleStale, "at most 10s", false},
	{"a reading from the future does not", Restart, "d1", func(h *Health, _ *Touch) { h.At = noon.Add(time.Second) }, RuleStale, "clock", false},
	{"a reading of no time does not", Commit, "", func(h *Health, _ *Touch) { h.At = time.Time{} }, RuleStale, "not known when", false},
	{"a decision at no time is none", Commit, "", func(_ *Health, t *Touch) { t.Now = time.Time{} }, RuleStale, "not known when", false},

	{"another name is another cluster", Commit, "", func(h *Health, _ *Touch) { h.Name = "shop" }, RuleIdentity, "named shop, declared is logs", true},
	{"a cluster without a declared name is none", Restart, "d1", func(h *Health, t *Touch) { h.Name, t.Name = "", "" }, RuleIdentity, "", true},
	{"another uuid is another cluster", Restart, "d1", func(h *Health, _ *Touch) { h.UUID = "u2" }, RuleIdentity, "uuid u2, recorded is u1", true},
	{"a cluster that tells no uuid is not the recorded one", Stop, "d4", func(h *Health, _ *Touch) { h.UUID = "" }, RuleIdentity, "", true},
	{"no node is touched before the uuid is recorded", Restart, "d1", func(_ *Health, t *Touch) { t.UUID = "" }, RuleIdentity, "not recorded", false},
	{"where no uuid exists the name decides", Restart, "d1", func(h *Health, t *Touch) { h.UUID, t.UUID = "", "" }, "", "", false},
	{"masters do not join another cluster", Join, "", func(h *Health, t *Touch) { h.UUID, t.Component = "u2", spec.Master }, RuleIdentity, "", true},

	{"without a master nothing is committed", Commit, "", func(h *Health, _ *Touch) { h.Master = "" }, RuleNoMaster, "no master is elected", false},
	{"a master that is not a member is none", Restart, "d1", func(h *Health, _ *Touch) { h.Master = "m9" }, RuleNoMaster, "m9", false},
	{"a master that cannot be elected is none", Restart, "d1", func(h *Health, _ *Touch) { h.Master = "d2" }, RuleNoMaster, "d2", false},

	{"two members of one name are a contradiction", Restart, "d1", func(h *Health, _ *Touch) { h.Nodes = append(h.Nodes, node("d2", spec.Data)) }, RulePartial, "d2", false},
	{"a member without a name is one too", Restart, "d1", func(h *Health, _ *Touch) { h.Nodes = append(h.Nodes, node("", spec.Data)) }, RulePartial, "", false},
	{"a status that is no colour is one too", Restart, "d1", func(h *Health, _ *Touch) { h.Status = "" }, RulePartial, "status", false},
	{"a shard on a node that is not there is one too", Restart, "d1", func(h *Health, _ *Touch) { h.Shards[5].Node = "d9" }, RulePartial, "orders[2] is STARTED on d9", false},
	{"an unassigned copy on a node is one too", Restart, "d1", func(h *Health, _ *Touch) { h.Shards[5].State = Unassigned }, RulePartial, "UNASSIGNED on", false},
	{"a copy in a state that nobody knows is one too", Restart, "d1", func(h *Health, _ *Touch) { h.Shards[5].State = "CLOSING" }, RulePartial, "CLOSING", false},
	{"an index with fewer copies listed than it has is a cut answer", Drain, "d1", func(h *Health, _ *Touch) { h.Shards = h.Shards[:7] }, RulePartial, "7 copies listed of 8", false},
	{"an index without any copy listed too", Stop, "d4", func(h *Health, _ *Touch) { h.Shards = nil }, RulePartial, "0 copies listed of 8", false},
	{"a shard of an index that is not listed too", Wipe, "d4", func(h *Health, _ *Touch) { h.Indices = nil }, RulePartial, "orders[0]", false},
	{"a contradiction does not stop a commit", Commit, "", func(h *Health, _ *Touch) { h.Indices = nil }, "", "", false},

	{"a node that runs in another instance is not the judged one", Restart, "d1", func(_ *Health, t *Touch) { t.Instance = "i-old" }, RuleIncarnation, "runs in instance i-d1, not in i-old", false},
	{"an instance that runs another node is not the judged one", Stop, "d4", func(h *Health, t *Touch) { h.lose("d4"); t.Instance = "i-d1" }, RuleIncarnation, "runs node d1, not d4", false},
	{"a node that does not tell its instance is believed", Restart, "d1", func(h *Health, _ *Touch) { delete(h.Node("d1").Attributes, AttrInstance) }, "", "", false},
}
