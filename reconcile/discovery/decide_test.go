package discovery

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

const proof = 10 * time.Second

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func server(id string, port int) Server {
	return Server{Instance: marathon.InstanceID(id), Host: "10.0.0." + fmt.Sprint(len(id)), Port: port}
}

// reading is what leader l1 says at a second, of instances by letter with their ports.
func reading(second int, servers ...Server) Reading {
	return Reading{At: begin.Add(time.Duration(second) * time.Second), Leader: "l1", Running: servers}
}

func TestAServerIsRemovedOnlyOnProof(t *testing.T) {
	a, b, c := server("a", 1), server("b", 2), server("c", 3)
	half := func(r Reading) Reading { r.Half = true; return r }
	by := func(leader string, r Reading) Reading { r.Leader = leader; return r }
	unsure := func(r Reading, id marathon.InstanceID) Reading { r.Unsure = append(r.Unsure, id); return r }
	cases := []struct {
		name     string
		readings []Reading
		want     []Server
	}{
		{"takes the first masters at once", []Reading{reading(0, a, b)}, []Server{a, b}},
		{"starts with none while none runs", []Reading{reading(0)}, nil},
		{"adds a master at once", []Reading{reading(0, a), reading(1, a, b)}, []Server{a, b}},
		{"follows a moved port at once", []Reading{reading(0, a, b), reading(1, a, server("b", 9))}, []Server{a, server("b", 9)}},
		{"keeps a master that is missing once", []Reading{reading(0, a, b), reading(1, a)}, []Server{a, b}},
		{"keeps a master that is missing twice too soon", []Reading{reading(0, a, b), reading(1, a), reading(10, a)}, []Server{a, b}},
		{"removes a master that is missing twice", []Reading{reading(0, a, b), reading(1, a), reading(11, a)}, []Server{a}},
		{"forgets an absence when the master is seen again", []Reading{reading(0, a, b), reading(1, a), reading(5, a, b), reading(11, a)}, []Server{a, b}},
		{"begins anew with another leader", []Reading{reading(0, a, b), reading(1, a), by("l2", reading(11, a))}, []Server{a, b}},
		{"believes the new leader after its own second word", []Reading{reading(0, a, b), reading(1, a), by("l2", reading(11, a)), by("l2", reading(21, a))}, []Server{a}},
		{"believes two leaders that contradict each other in nothing", []Reading{reading(0, a, b), by("l2", reading(1, a)), by("l1", reading(12, a)), by("l2", reading(23, a))}, []Server{a, b}},
		{"keeps all when none is shown", []Reading{reading(0, a, b), reading(1), reading(100), reading(200)}, []Server{a, b}},
		{"takes no empty answer for a proof", []Reading{reading(0, a, b), reading(1), reading(20, a)}, []Server{a, b}},
		{"replaces all by one that runs, after the proof", []Reading{reading(0, a, b), reading(1, c), reading(11, c)}, []Server{c}},
		{"keeps all beside one new master before it", []Reading{reading(0, a, b), reading(1, c)}, []Server{a, b, c}},
		{"takes no half answer for a proof", []Reading{reading(0, a, b), half(reading(1, a)), half(reading(11, a)), half(reading(30, a))}, []Server{a, b}},
		{"takes what a half answer shows", []Reading{reading(0, a), half(reading(1, b))}, []Server{a, b}},
		{"takes no answer without a leader for a proof", []Reading{reading(0, a, b), by("", reading(1, a)), by("", reading(11, a))}, []Server{a, b}},
		{"keeps a master whose agent does not answer", []Reading{reading(0, a, b), unsure(reading(1, a), "b"), unsure(reading(50, a), "b")}, []Server{a, b}},
		{"does not add a master whose agent does not answer", []Reading{unsure(reading(0, a), "b")}, []Server{a}},
		{"gives an address to who has it now", []Reading{reading(0, a, b), reading(1, a, Server{"bb", b.Host, b.Port})}, []Server{a, {"bb", b.Host, b.Port}}},
		{"has an address once", []Reading{reading(0, a, Server{"aa", a.Host, a.Port})}, []Server{a}},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			var got Backends
			for _, r := range k.readings {
				got, _ = Decide(got, r, proof)
			}
			if d := cmp.Diff(k.want, got.Servers); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAChangeSaysWhatAndWhy(t *testing.T) {
	a, b := server("a", 1), server("b", 2)
	all, _ := Decide(Backends{}, reading(0, a, b), proof)
	for _, k := range []struct {
		reading Reading
		any     bool
		want    string
	}{
		{reading(1, a, b), false, ""},
		{reading(1, a), false, "kept 10.0.0.1:2 (gone must be seen again after 10s)"},
		{reading(1), false, "kept 10.0.0.1:1 10.0.0.1:2 (no other one runs)"},
		{reading(1, server("a", 7), b, server("cc", 3)), true, "added 10.0.0.2:3, moved 10.0.0.1:7"},
	} {
		_, c := Decide(all, k.reading, proof)
		if c.String() != k.want || c.Any() != k.any {
			t.Errorf("%q, %v; want %q", c.String(), c.Any(), k.want)
		}
	}
	gone, _ := Decide(all, reading(1, a), proof)
	if _, c := Decide(gone, reading(20, a), proof); c.String() != "removed 10.0.0.1:2" || !c.Any() {
		t.Errorf("%q", c)
	}
}

// anyReading draws what a Marathon in trouble may say.
func anyReading(t *rapid.T, at time.Time) Reading {
	r := Reading{At: at, Leader: rapid.SampledFrom([]string{"", "l1", "l2"}).Draw(t, "leader"), Half: rapid.Bool().Draw(t, "half")}
	for id := 'a'; id <= 'e'; id++ {
		switch rapid.IntRange(0, 3).Draw(t, string(id)) {
		case 0:
			r.Unsure = append(r.Unsure, marathon.InstanceID(id))
		case 1:
		default:
			r.Running = append(r.Running, Server{marathon.InstanceID(id), "10.0.0.1", rapid.IntRange(1, 4).Draw(t, "port")})
		}
	}
	return r
}

func TestLawsOfTheRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := begin
		var b Backends
		for range rapid.IntRange(0, 30).Draw(t, "readings") {
			at = at.Add(rapid.SampledFrom([]time.Duration{0, time.Second, proof / 2, proof}).Draw(t, "pause"))
			r := anyReading(t, at)
			before := slices.Clone(b.Servers)
			next, c := Decide(b, r, proof)
			if !slices.Equal(before, b.Servers) {
				t.Fatal("the old backends were changed in place")
			}
			checkStep(t, b, r, next, c)
			b = next
		}
		stable := Reading{At: at, Leader: "l3"}
		for i := range rapid.IntRange(1, 5).Draw(t, "running") {
			stable.Running = append(stable.Running, Server{marathon.InstanceID('c' + rune(i)), "10.0.0.1", 3 + i})
		}
		for range 2 {
			stable.At = stable.At.Add(proof)
			b, _ = Decide(b, stable, proof)
		}
		if !slices.Equal(b.Servers, stable.Running) || len(b.Missing) > 0 {
			t.Fatalf("two equal readings leave %v, while %v run", b, stable.Running)
		}
		if again, c := Decide(b, stable, proof); c.Any() || !slices.Equal(again.Servers, b.Servers) {
			t.Fatalf("a third one changes %s", c)
		}
	})
}

// checkStep holds of every step, whatever Marathon says.
func checkStep(t *rapid.T, prev Backends, r Reading, next Backends, c Change) {
	if len(prev.Servers) > 0 && len(next.Servers) == 0 {
		t.Fatal("the ring was emptied")
	}
	if !slices.IsSortedFunc(next.Servers, byInstance) {
		t.Fatalf("not in order: %v", next.Servers)
	}
	seen := map[string]bool{}
	for _, s := range next.Servers {
		if seen[s.Address()] || seen[string(s.Instance)] {
			t.Fatalf("%v is there twice", s)
		}
		seen[s.Address()], seen[string(s.Instance)] = true, true
	}
	for _, s := range r.Running {
		if !seen[s.Address()] {
			t.Fatalf("%v runs and is not there", s)
		}
	}
	if c.Any() == slices.Equal(prev.Servers, next.Servers) {
		t.Fatalf("%v became %v, and the change is %q", prev.Servers, next.Servers, c)
	}
	for _, s := range c.Removed {
		taken := slices.ContainsFunc(next.Servers, func(o Server) bool { return o.Address() == s.Address() })
		held := prev.Missing[s.Instance]
		proven := held.Leader == r.Leader && r.Leader != "" && !r.Half && len(r.Running) > 0 && r.At.Sub(held.Since) >= proof
		if !taken && !proven {
			t.Fatalf("%v was removed without proof", s)
		}
	}
	if n := strings.Count(c.String(), "\n"); n > 0 {
		t.Fatalf("%q", c)
	}
}
