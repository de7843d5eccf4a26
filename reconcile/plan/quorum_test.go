package plan

import (
	"testing"

	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

func TestAQuorumThatIsTooLowIsRaisedEvenWhileMastersComeAndGo(t *testing.T) {
	for _, c := range []struct {
		name            string
		set             string
		masters, joined int
		changing        bool
		want            string
	}{
		{"a majority", "2", 3, 3, false, ""},
		{"too low", "1", 3, 3, false, "2"},
		{"raised before a fourth one comes", "3", 3, 3, true, ""},
		{"not lowered while one leaves", "3", 4, 4, true, ""},
		{"a fourth one that somebody started by hand", "2", 4, 4, true, "3"},
		{"a fourth and a fifth who have not joined", "2", 5, 3, true, "3"},
		{"four more who have not joined: who is there could elect nobody", "2", 7, 3, true, ""},
	} {
		w := standard().all()
		w.want.Spec.Elasticsearch.Version = spec.Version{Major: 6, Minor: 8}
		h := esgate.Health{Persistent: map[string]string{keyQuorum: c.set}}
		for range c.joined {
			h.Nodes = append(h.Nodes, esgate.Node{MasterEligible: true})
		}
		got := ""
		for _, f := range quorumFixes(w.want.Spec, &h, c.masters, c.changing) {
			got += *f.Change.Persistent[keyQuorum]
		}
		if got != c.want {
			t.Errorf("%s: quorum %q of %d, wanted %q", c.name, got, c.masters, c.want)
		}
	}
}
