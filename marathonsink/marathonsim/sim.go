package marathonsim

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A Sim is a running Marathon with its agents. Its methods may be called from many goroutines. Close it.
type Sim struct {
	opt Options
	ver traits

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	wg   sync.WaitGroup // every goroutine the Sim started, but for the crew
	crew crew           // answers and probes

	mu       sync.Mutex
	isClosed bool
	rng      *rand.Rand
	dues     dueHeap
	dueSeq   uint64
	timer    *time.Timer

	lastStamp   time.Time
	agents      []*agent
	apps        map[marathon.AppID]*app
	groups      map[marathon.AppID]*group
	pods        map[marathon.AppID]*pod
	history     map[marathon.AppID][]*definition // all versions ever, also of deleted apps
	deployments []*deployment
	subscribers []*subscriber
	listeners   map[string]*instance // host:port of running tasks
	onListen    func(hostport string, up bool)

	leader       atomic.Int64           // how often the leader changed
	address      atomic.Pointer[string] // where it listens; nil: nowhere
	leaderless   bool                   // nobody answers
	hideDeploys  bool                   // just after a change of leader the list of deployments is empty
	offersPaused bool
	failLaunches int
	offerRound   *due
	nextService  int
}

// An app is one id of the root group with its instances.
type app struct {
	id        marathon.AppID
	def       *definition
	instances []*instance // by age
	launcher  bool        // up to 1.7: a launcher actor is alive, and counts wrongly (versions.go)
	lockOpen  bool        // from 1.10: a refused write opened the running deployment's lock
	lockStuck bool        // the scale check skips this app until its next deployment

	backoff      time.Duration
	backoffUntil time.Time
	queue        queueStats
	failure      map[string]any // lastTaskFailure
}

type group struct {
	deps        []string
	version     string
	enforceRole bool
}

// New starts a Marathon without apps.
func New(opt Options) *Sim {
	opt = opt.withDefaults()
	s := &Sim{
		opt: opt, ver: traitsOf(opt.Version),
		rng:  rand.New(rand.NewPCG(opt.Seed, 0x6573666c656574)),
		apps: map[marathon.AppID]*app{}, groups: map[marathon.AppID]*group{}, pods: map[marathon.AppID]*pod{},
		history: map[marathon.AppID][]*definition{}, listeners: map[string]*instance{},
		nextService: 10000, crew: crew{work: make(chan func())},
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if s.opt.Runner == nil {
		s.opt.Runner = &simulated{sim: s}
	}
	for _, a := range opt.Agents {
		s.addAgent(a)
	}
	s.groups["/"] = &group{version: s.stamp()}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after(15*time.Second, s.periodicScaleCheck)
	return s
}

// Close ends every task, stream and goroutine of the Sim, and waits for them.
func (s *Sim) Close() {
	s.mu.Lock()
	if s.isClosed {
		s.mu.Unlock()
		return
	}
	s.isClosed = true
	s.arm()
	for _, sub := range s.subscribers {
		sub.end()
	}
	var running []Process
	for _, a := range s.sortedApps() {
		for _, in := range a.instances {
			if in.stopChecks != nil {
				in.stopChecks()
			}
			if in.process != nil {
				running = append(running, in.process)
			}
		}
	}
	s.stop()
	s.mu.Unlock()
	for _, p := range running {
		p.Kill(0)
	}
	if c, ok := s.opt.Runner.(interface{ Close() }); ok {
		c.Close()
	}
	s.wg.Wait()
	s.crew.wg.Wait()
}

// do runs fn locked, and lets deployments and offers react to it.
func (s *Sim) do(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isClosed {
		return
	}
	fn()
	s.settle()
}

// settle lets every deployment go as far as it can, then sees whether an offer is wanted.
func (s *Sim) settle() {
	for again := true; again; {
		again = false
		for _, d := range append([]*deployment(nil), s.deployments...) {
			if s.advance(d) {
				again = true
			}
		}
	}
	s.wantOffers()
}

func (s *Sim) sortedApps() []*app {
	out := make([]*app, 0, len(s.apps))
	for _, a := range s.apps {
		out = append(out, a)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].id < out[j].id })
	return out
}

// uuid draws an id from the seed. Marathon's are time based; the shape is what clients may rely on.
func (s *Sim) uuid() string {
	a, b := s.rng.Uint64(), s.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", uint32(a>>32), uint16(a>>16), uint16(a)&0xfff,
		0x8000|uint16(b>>48)&0x3fff, b&0xffffffffffff)
}

// leaderAddress is what Marathon calls itself: where it listens, else a name of its own.
func (s *Sim) leaderAddress() string {
	if a := s.address.Load(); a != nil {
		return *a
	}
	return fmt.Sprintf("marathon-%d.sim:8080", s.leader.Load()%2+1)
}
