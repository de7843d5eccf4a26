package marathonsim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// Options say what kind of Marathon a Sim is. The zero value is a Marathon 1.11.24 with five agents.
type Options struct {
	Version marathon.Version // 0.0.0 means 1.11.24
	Agents  []Agent          // nil: DefaultAgents(5)
	Runner  Runner           // what runs a task; nil: tasks are simulated

	// Programs says what a simulated task does; nil, or a nil Program: it is up StartDelay after it began to run,
	// and answers 200 to everything.
	Programs func(Task) Program

	LaunchDelay time.Duration // from wanting a task to its launch by an offer; 0: 300 ms
	StartDelay  time.Duration // of a task without a Program, from running to answering; 0: 1 s
	KillDelay   time.Duration // from SIGTERM to the end of a simulated task; 0: 100 ms
	// ScaleCheck is the interval at which missing tasks are noticed that nobody asked for; 0: 300 s.
	ScaleCheck time.Duration
	// ChecksWithin, if not 0, is the longest that a health or readiness check waits for its turn, whatever its
	// delaySeconds and intervalSeconds say: for a demo that people watch.
	ChecksWithin time.Duration
	// LeaderGap is how long nobody answers while the leader changes; 0: 3 s.
	LeaderGap time.Duration

	Role        string // --mesos_role; "": marathon
	Credentials string // --http_credentials, "name:password"; "": everybody may do everything
	Seed        uint64
	Logf        func(format string, args ...any) // nil: silent
}

// An Agent is a machine that offers its resources.
type Agent struct {
	Hostname     string // also its address
	CPUs         float64
	Mem, Disk    float64 // MiB
	Ports        []PortRange
	Attributes   map[string]string
	Role         string // resources are reserved for this role; "" or "*": for anybody
	Region, Zone string
	Maintenance  bool // offers are declined with AgentMaintenance
}

// A PortRange includes both ends.
type PortRange struct{ First, Last int }

// UnmarshalText reads "31000-31999", or a single port.
func (r *PortRange) UnmarshalText(b []byte) error {
	first, last, isRange := strings.Cut(string(b), "-")
	if !isRange {
		last = first
	}
	var err1, err2 error
	r.First, err1 = strconv.Atoi(strings.TrimSpace(first))
	r.Last, err2 = strconv.Atoi(strings.TrimSpace(last))
	if err1 != nil || err2 != nil || r.First < 1 || r.Last > 65535 || r.First > r.Last {
		return fmt.Errorf(`%q is no range of ports; write "31000-31999"`, b)
	}
	return nil
}

// MarshalText writes "31000-31999".
func (r PortRange) MarshalText() ([]byte, error) {
	return fmt.Appendf(nil, "%d-%d", r.First, r.Last), nil
}

// DefaultAgents are n agents at 127.0.0.11 and up with 8 cpus, 16 GiB of memory, 100 GB of disk, racks r1 to r3, and
// the ports 9000-9999 and 31000-31999.
func DefaultAgents(n int) []Agent {
	out := make([]Agent, n)
	for i := range out {
		out[i] = Agent{
			Hostname: fmt.Sprintf("127.0.0.%d", 11+i), CPUs: 8, Mem: 16384, Disk: 100_000,
			Ports:      []PortRange{{9000, 9999}, {31000, 31999}},
			Attributes: map[string]string{"rack": fmt.Sprintf("r%d", i%3+1)},
		}
	}
	return out
}

func (o Options) withDefaults() Options {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	if o.Version == (marathon.Version{}) {
		o.Version = marathon.Version{Major: 1, Minor: 11, Patch: 24}
	}
	if o.Agents == nil {
		o.Agents = DefaultAgents(5)
	}
	if o.Role == "" {
		o.Role = "marathon"
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	set(&o.LaunchDelay, 300*time.Millisecond)
	set(&o.StartDelay, time.Second)
	set(&o.KillDelay, 100*time.Millisecond)
	set(&o.ScaleCheck, 300*time.Second)
	set(&o.LeaderGap, 3*time.Second)
	return o
}
