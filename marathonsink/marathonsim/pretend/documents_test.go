package pretend_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
	"pgregory.net/rapid"
)

// One replica, any single node down at a time, and green before the next: nothing that was acknowledged is ever lost.
func TestNoSingleRestartWithGreenInBetweenLosesADocument(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		version := rapid.SampledFrom([]string{"5.6.16", "6.8.23", "7.17.28", "8.7.1"}).Draw(r, "version")
		nodes := rapid.IntRange(2, 5).Draw(r, "data nodes")
		primaries := rapid.IntRange(1, 5).Draw(r, "primaries")
		steps := rapid.SliceOfN(rapid.IntRange(0, 99), 1, 5).Draw(r, "steps")
		playWith(t, &pretend.Fleet{Seed: rapid.Uint64().Draw(r, "seed"), Indices: []pretend.Index{{Name: "docs", Primaries: primaries, Replicas: 1}}}, func(s stage) {
			s.bundle = bundleOf(t, version, "elasticsearch", 2)
			s.put("master", 3)
			s.put("data", nodes)
			s.formed(3 + nodes)
			for _, step := range steps {
				if step%4 == 0 {
					s.kill("master", step%3)
				} else {
					s.kill("data", step%nodes)
				}
				for range step % 25 {
					_, _ = s.fleet.Write(logs, "docs") // one that is refused counts for nothing
					time.Sleep(50 * time.Millisecond)
				}
				time.Sleep(2 * time.Second) // so that it is missed
				s.formed(3 + nodes)
				if v := s.fleet.Cluster(logs); len(v.Lost) > 0 || len(v.Violations) > 0 {
					r.Fatalf("%+v", v)
				}
			}
		})
	})
}

func TestTwoWipedCopiesLoseWhatOnlyTheyHeld(t *testing.T) {
	play(t, func(s stage) {
		s.put("master", 3)
		s.put("data", 2)
		s.formed(5)
		var ids []string
		for range 7 {
			ids = append(ids, s.write("pretended"))
		}
		s.wipe("data", 2)
		time.Sleep(time.Minute)
		v := s.fleet.Cluster(logs)
		slices.Sort(ids)
		if v.Health != "red" || !slices.Equal(v.Lost, ids) || v.Acknowledged != 7 {
			t.Errorf("%+v", v)
		}
	})
}

func TestOneWipedCopyLosesNothing(t *testing.T) {
	play(t, func(s stage) {
		s.put("master", 3)
		s.put("data", 3)
		s.formed(6)
		for range 30 {
			s.write("pretended")
		}
		task := s.tasks("data")[0]
		if code, out := s.send("DELETE", "http://marathon.sim/v2/apps"+logs+"/data/tasks/"+string(task.ID)+"?wipe=true", nil); code != 200 {
			t.Fatal(code, out)
		}
		time.Sleep(7 * time.Minute)
		if v := s.fleet.Cluster(logs); v.Health != "green" || len(v.Lost) > 0 || len(v.Members) != 6 {
			t.Errorf("%+v", v)
		}
	})
}

// A copy that missed writes may become the primary before 5.0, and never later.
func TestAStaleCopyIsTrustedOnlyBeforeFive(t *testing.T) {
	for _, c := range []struct {
		version string
		lost    int
		health  string
	}{{"2.4.6", 5, "yellow"}, {"5.6.16", 0, "red"}, {"7.17.28", 0, "red"}} {
		t.Run(c.version, func(t *testing.T) {
			playWith(t, &pretend.Fleet{Indices: []pretend.Index{{Name: "docs", Primaries: 1, Replicas: 1}}}, func(s stage) {
				s.bundle = bundleOf(t, c.version, "elasticsearch", 2)
				s.put("master", 3)
				s.put("data", 2)
				s.formed(5)
				s.write("docs")
				s.fleet.SlowBoot(s.tasks("data")[0].Host, 5*time.Minute)
				s.kill("data", 0)
				time.Sleep(10 * time.Second)
				for range 5 {
					s.write("docs") // only on the other
				}
				s.fleet.SlowBoot(s.tasks("data")[1].Host, time.Hour)
				s.kill("data", 1)
				time.Sleep(10 * time.Minute) // the first is back, alone
				v := s.fleet.Cluster(logs)
				if v.Health != c.health || len(v.Lost) != c.lost {
					t.Errorf("%+v", v)
				}
				time.Sleep(time.Hour)
				if v := s.fleet.Cluster(logs); v.Health != "green" || len(v.Lost) != c.lost {
					t.Errorf("with both: %+v", v)
				}
			})
		})
	}
}

func TestAWriteThatIsRefusedSaysSo(t *testing.T) {
	play(t, func(s stage) {
		s.put("master", 3)
		if _, err := s.fleet.Write(logs, "pretended"); !errors.Is(err, pretend.ErrNotAcknowledged) {
			t.Error(err)
		}
	})
}

// Equal histories give equal answers, down to every id.
func TestAHistoryReplaysByteForByte(t *testing.T) {
	run := func() (out string) {
		synctest.Test(t, func(t *testing.T) {
			f := &pretend.Fleet{Seed: 7}
			sim := marathonsim.New(marathonsim.Options{Programs: f.Program})
			defer sim.Close()
			f.Watch(sim)
			s := stage{T: t, sim: sim, fleet: f}
			s.client = clientOf(sim)
			s.put("master", 3)
			s.put("data", 3)
			s.formed(6)
			for range 20 {
				s.write("pretended")
			}
			s.kill("data", 1)
			time.Sleep(2 * time.Second)
			s.formed(6)
			out = fmt.Sprintf("%+v", f.Cluster(logs))
		})
		return out
	}
	first := run()
	for range 5 {
		if again := run(); again != first {
			t.Fatalf("%s\n%s", first, again)
		}
	}
}
