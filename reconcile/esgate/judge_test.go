package esgate

import "testing"

func TestAHealthyClusterForbidsNothing(t *testing.T) {
	for _, c := range []struct {
		kind Kind
		node string
	}{{Commit, ""}, {Join, ""}, {Restart, "d1"}, {Restart, "m1"}, {Restart, "m2"}, {Drain, "d1"}} {
		if v := Judge(healthy(), touch(c.kind, c.node)); v != (Verdict{OK: true}) {
			t.Errorf("%s %s: %+v", c.kind, c.node, v)
		}
	}
	for _, k := range ending {
		if v := Judge(emptied(k)); v != (Verdict{OK: true}) {
			t.Errorf("%s: %+v", k, v)
		}
	}
}
