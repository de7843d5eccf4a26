package spec

import "testing"

func TestAPlaceIsReadAsItIsWritten(t *testing.T) {
	for _, p := range []Pos{{}, {File: "fleet.yaml"}, {File: "fleet.yaml", Line: 3}, {File: "groups/a b/x.yaml", Line: 12, Column: 7}} {
		text, err := p.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var got Pos
		if err := got.UnmarshalText(text); err != nil || got != p {
			t.Errorf("%q became %+v (%v), want %+v", text, got, err, p)
		}
	}
}
