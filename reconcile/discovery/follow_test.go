package discovery

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/render/bootstrap"
)

const mastersApp = "/search/logs/es-master"

// A fakeRing is a HAProxy that takes what does not contain the word refuse.
type fakeRing struct {
	mu      sync.Mutex
	configs []string // taken, in order
	asked   int
	broken  bool
}

func (r *fakeRing) install(_ context.Context, config []byte) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	switch n := len(r.configs); {
	case r.broken:
		return false, errors.New("no new worker")
	case strings.Contains(string(config), "refuse"):
		return false, errRefused
	case n > 0 && r.configs[n-1] == string(config):
		return false, nil
	}
	r.configs = append(r.configs, string(config))
	return true, nil
}

func (r *fakeRing) breakDown(broken bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = broken
}

// A tamper stands between the client and Marathon; the zero one changes nothing.
type tamper struct {
	next   http.RoundTripper
	mu     sync.Mutex
	away   bool // nobody answers, streams end
	half   bool // the answer breaks off
	deaf   bool // streams stay open and say nothing more
	loseN  int  // leave the first n tasks out of the list
	reads  int
	cancel []context.CancelFunc
}

func (m *tamper) set(f func(m *tamper)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
	if m.away {
		for _, c := range m.cancel {
			c()
		}
		m.cancel = nil
	}
}

func (m *tamper) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	away, half, deaf, loseN := m.away, m.half, m.deaf, m.loseN
	stream := strings.HasSuffix(r.URL.Path, "/v2/events")
	if stream {
		ctx, cancel := context.WithCancel(r.Context())
		m.cancel = append(m.cancel, cancel)
		r = r.WithContext(ctx)
	} else {
		m.reads++
	}
	m.mu.Unlock()
	if away || stream && deaf {
		return nil, errors.New("connection refused")
	}
	res, err := m.next.RoundTrip(r)
	if err != nil || stream || !half && loseN == 0 {
		return res, err
	}
	b, err := io.ReadAll(res.Body)
	res.Body.Close()
	if half {
		b = b[:len(b)/2]
	}
	for range loseN { // the list without its first tasks, beside a count that knows better
		text := string(b)
		from := strings.Index(text, `"tasks":[`) + len(`"tasks":[`)
		to := from + strings.Index(text[from:], `{"appId"`)
		if next := strings.Index(text[to+1:], `{"appId"`); next >= 0 {
			b = []byte(text[:from] + text[to+1+next:])
		}
	}
	res.Body = io.NopCloser(strings.NewReader(string(b)))
	return res, err
}

// A scene is a follower at a simulated Marathon, in virtual time.
type scene struct {
	*testing.T
	sim    *marathonsim.Sim
	tamper *tamper
	ring   *fakeRing
	f      *follower
	log    *log
	text   atomic.Pointer[string] // the template
	client *marathonsink.Client
}

func inVirtualTime(t *testing.T, play func(s *scene)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{T: t, sim: marathonsim.New(marathonsim.Options{}), ring: &fakeRing{}, log: &log{}}
		defer s.sim.Close()
		s.write(bootstrap.RingTemplate)
		s.tamper = &tamper{next: s.sim.Transport()}
		var err error
		s.client, err = marathonsink.New(marathonsink.Options{URLs: []string{"http://marathon:8080"}, Transport: noteLeader{s.tamper}})
		if err != nil {
			t.Fatal(err)
		}
		s.f = &follower{marathon: s.client, masters: &group{what: "masters", apps: []marathon.AppID{mastersApp}, port: 1}, proof: 10 * time.Second, resync: 30 * time.Second,
			place: Place{Bind: "*", Port: 9310}, template: func() (string, error) { return *s.text.Load(), nil }, good: bootstrap.RingTemplate,
			ring: s.ring, log: s.log.logger(), status: &status{isRunning: func() bool { return true }}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.f.run(ctx) }()
		defer func() { cancel(); <-done }()
		play(s)
	})
}

// masters creates the app, with volumes, and waits until all run.
func (s *scene) masters(n int) {
	s.Helper()
	_, err := s.client.Create(s.Context(), marathon.Doc{
		"id": mastersApp, "cmd": "es", "cpus": 0.1, "mem": 64, "instances": n, "backoffSeconds": 1,
		"constraints":     [][]string{{"hostname", "UNIQUE"}},
		"portDefinitions": []marathon.Doc{{"port": 0}, {"port": 0}},
		"container":       marathon.Doc{"type": "MESOS", "volumes": []marathon.Doc{{"containerPath": "data", "mode": "RW", "persistent": marathon.Doc{"size": 64}}}},
		"upgradeStrategy": marathon.Doc{"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0},
	})
	if err != nil {
		s.Fatal(err)
	}
	s.wait(30 * time.Second)
	if got := s.running(); len(got) != n {
		s.Fatalf("%d of %d masters run", len(got), n)
	}
}

// write replaces the template.
func (s *scene) write(text string) { s.text.Store(&text) }

func (s *scene) wait(d time.Duration) { time.Sleep(d); synctest.Wait() }

// running are the addresses of the masters that run, asked past the tamper.
func (s *scene) running() (out []string) {
	s.Helper()
	past, err := marathonsink.New(marathonsink.Options{URLs: []string{"http://marathon:8080"}, Transport: s.sim.Transport()})
	if err != nil {
		s.Fatal(err)
	}
	app, err := past.App(s.Context(), mastersApp)
	if err != nil {
		s.Fatal(err)
	}
	for _, t := range app.Tasks {
		if t.Running() {
			out = append(out, Server{Host: t.Host, Port: t.Ports[1]}.Address())
		}
	}
	slices.Sort(out)
	return out
}

// readings counts the looks at Marathon.
func (m *tamper) readings() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reads
}

// taken counts the configurations that came into force, asked those that were tried, and last is the one in force.
func (r *fakeRing) taken() (n, asked int, last string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n = len(r.configs); n > 0 {
		last = r.configs[n-1]
	}
	return n, r.asked, last
}

// ringHas are the addresses of the masters in the configuration in force.
func (s *scene) ringHas() (out []string) {
	s.ring.mu.Lock()
	defer s.ring.mu.Unlock()
	if len(s.ring.configs) == 0 {
		return nil
	}
	for line := range strings.Lines(s.ring.configs[len(s.ring.configs)-1]) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "server" && strings.HasPrefix(f[1], "m-") {
			out = append(out, f[2])
		}
	}
	slices.Sort(out)
	return out
}

func (s *scene) want(what string, addresses []string) {
	s.Helper()
	if got := s.ringHas(); !slices.Equal(got, addresses) {
		s.Errorf("%s: the ring has %v, want %v\n%s", what, got, addresses, s.log)
	}
}

func (s *scene) killOne() {
	s.Helper()
	for _, a := range s.sim.View().Apps {
		if a.ID == mastersApp {
			if err := s.sim.KillTask(a.Tasks[0].ID); err != nil {
				s.Fatal(err)
			}
			return
		}
	}
}

func TestTheRingFollowsEvents(t *testing.T) {
	inVirtualTime(t, func(s *scene) {
		s.masters(3)
		s.want("three run", s.running())
		reads := s.tamper.readings()
		before := s.running()
		s.killOne()
		s.wait(5 * time.Second) // far less than a resync
		if slices.Equal(before, s.running()) || len(s.running()) != 3 {
			t.Fatalf("the master did not move: %v", s.running())
		}
		s.want("a master came back on other ports", s.running())
		if n := s.tamper.readings() - reads; n < 1 || n > 6 {
			t.Errorf("%d readings for one move", n)
		}
	})
}

func TestAQuietRingIsReadNowAndThenAndChangesNothing(t *testing.T) {
	inVirtualTime(t, func(s *scene) {
		s.masters(3)
		reads := s.tamper.readings()
		configs, _, _ := s.ring.taken()
		s.wait(time.Hour)
		if n := s.tamper.readings() - reads; n < 100 || n > 130 {
			t.Errorf("%d readings in an hour", n)
		}
		if n, _, _ := s.ring.taken(); n != configs {
			t.Errorf("%d reloads in a quiet hour", n-configs)
		}
	})
}

func TestLostEventsOnlyCostTime(t *testing.T) {
	inVirtualTime(t, func(s *scene) {
		s.masters(3)
		s.tamper.set(func(m *tamper) { m.away = true })
		s.tamper.set(func(m *tamper) { m.away, m.deaf = false, true })
		s.killOne()
		s.wait(45 * time.Second)
		s.want("after a resync", s.running())
	})
}

func TestTheLastGoodServersStayWhateverMarathonSays(t *testing.T) {
	for name, trouble := range map[string]func(s *scene){
		"Marathon is away":              func(s *scene) { s.tamper.set(func(m *tamper) { m.away = true }) },
		"answers break off":             func(s *scene) { s.tamper.set(func(m *tamper) { m.half = true }) },
		"answers show a part":           func(s *scene) { s.tamper.set(func(m *tamper) { m.loseN = 2 }) },
		"the leader changes for ever":   func(s *scene) { go s.changeLeaders() },
		"the app is deleted":            func(s *scene) { s.delete() },
		"all masters are scaled away":   func(s *scene) { s.scale(0) },
		"no agent answers any more":     func(s *scene) { s.loseAgents() },
		"the leader changes in trouble": func(s *scene) { s.tamper.set(func(m *tamper) { m.half = true }); s.sim.LeaderChange() },
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(s *scene) {
				s.masters(3)
				before := s.ringHas()
				trouble(s)
				for range 20 {
					s.wait(10 * time.Second)
					if len(s.ringHas()) != 3 {
						break
					}
				}
				s.want(name, before)
			})
		})
	}
}

func (s *scene) changeLeaders() {
	for range 20 {
		s.sim.LeaderChange()
		time.Sleep(7 * time.Second)
	}
}

func (s *scene) delete() {
	s.Helper()
	req, _ := http.NewRequestWithContext(s.Context(), http.MethodDelete, "http://marathon:8080/v2/apps"+mastersApp, nil)
	res, err := s.sim.Transport().RoundTrip(req)
	if err != nil || res.StatusCode != http.StatusOK {
		s.Fatal(res, err)
	}
	res.Body.Close()
}

func (s *scene) scale(n int) {
	s.Helper()
	if _, err := s.client.Scale(s.Context(), mastersApp, n, nil); err != nil {
		s.Fatal(err)
	}
}

func (s *scene) loseAgents() {
	for _, a := range s.sim.View().Agents {
		if err := s.sim.LoseAgent(a.Hostname); err != nil {
			s.Fatal(err)
		}
	}
}

func TestAMasterThatIsGoneForGoodLeavesTheRing(t *testing.T) {
	inVirtualTime(t, func(s *scene) {
		s.masters(3)
		s.scale(2)
		s.wait(5 * time.Second)
		if len(s.ringHas()) != 3 {
			t.Errorf("removed before the proof: %v", s.ringHas())
		}
		s.wait(20 * time.Second)
		s.want("gone for good", s.running())
		if h := s.f.status.health(time.Now()); h.Servers != 2 || h.Missing != 0 || h.LastReadingSeconds > 30 || h.Marathon != "" || h.Refused != "" || h.Reloads < 2 {
			t.Errorf("%+v", h)
		}
	})
}

func TestMastersThatMovedWhileMarathonWasAwayAreFound(t *testing.T) {
	inVirtualTime(t, func(s *scene) {
		s.masters(3)
		s.tamper.set(func(m *tamper) { m.away = true })
		s.wait(20 * time.Second)
		if h := s.f.status.health(time.Now()); h.Marathon == "" || h.LastReadingSeconds < 15 || h.Servers != 3 {
			t.Errorf("%+v", h)
		}
		for range 3 {
			s.killOne()
			s.wait(10 * time.Second)
		}
		s.tamper.set(func(m *tamper) { m.away = false })
		s.wait(10 * time.Second)
		s.want("Marathon is back", s.running())
		if n := strings.Count(s.log.String(), "Marathon does not tell of the masters, their last 3 stay"); n != 1 {
			t.Errorf("its absence was told %d times\n%s", n, s.log.String())
		}
	})
}

func TestARefusedTemplateLeavesTheLastGoodOneWhichGoesOnFollowing(t *testing.T) {
	for name, text := range map[string]string{
		"HAProxy refuses it":    "refuse\nserver {{name}} {{address}}\n",
		"it has unknown words":  "server {{nam}} {{address}}\n",
		"it leads nowhere":      "nothing\n",
		"it has no end":         "{{if stats}}\nserver {{name}} {{address}}\n",
		"it is empty":           "",
		"it repeats a bad line": "refuse {{address}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			inVirtualTime(t, func(s *scene) {
				s.masters(3)
				s.write("# the fleet's own\nserver {{name}} {{address}}\n")
				s.wait(time.Minute)
				s.write(text)
				s.wait(10 * time.Minute)
				_, asked, _ := s.ring.taken()
				s.killOne()
				s.wait(time.Minute)
				s.want("while the template is refused", s.running())
				if _, _, last := s.ring.taken(); !strings.HasPrefix(last, "# the fleet's own") {
					t.Errorf("the last good template is not used:\n%s", last)
				}
				if h := s.f.status.health(time.Now()); h.Refused == "" {
					t.Errorf("%+v", h)
				}
				if n := strings.Count(s.log.String(), "the last good configuration stays"); n < 1 || n > 3 {
					t.Errorf("told %d times:\n%s", n, s.log)
				}
				if asked > 40 {
					t.Errorf("HAProxy was asked %d times in ten minutes", asked)
				}
				s.write(bootstrap.RingTemplate)
				s.wait(time.Minute)
				if h := s.f.status.health(time.Now()); h.Refused != "" {
					t.Errorf("%+v", h)
				}
			})
		})
	}
}

func TestARingThatDoesNotReloadIsAskedAgain(t *testing.T) {
	inVirtualTime(t, func(s *scene) {
		s.masters(2)
		s.ring.breakDown(true)
		s.killOne()
		s.wait(10 * time.Second)
		s.ring.breakDown(false)
		s.wait(31 * time.Second)
		s.want("it reloads again", s.running())
	})
}

func TestAnAnswerIsOfTheLeaderThatMadeIt(t *testing.T) {
	var leader string
	say := func(name string, err error) {
		rt := noteLeader{roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{Header: http.Header{"X-Marathon-Leader": {name}}}, err
		})}
		req, _ := http.NewRequestWithContext(withLeader(t.Context(), &leader), http.MethodGet, "http://m/", nil)
		_, _ = rt.RoundTrip(req)
	}
	if say("a", nil); leader != "a" {
		t.Error(leader)
	}
	if say("b", errors.New("lost")); leader != "" {
		t.Error(leader)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
