package marathonsim

import (
	"fmt"
	"slices"
	"time"
)

// An agent with what is taken of it. A reservation of a resident app stays taken while its task is stopped.
type agent struct {
	Agent
	id    string
	lost  bool
	taken []*instance // by when they came; sums of fractions depend on the order
}

// queueStats is what /v2/queue tells of an app.
type queueStats struct {
	since, lastUsed, lastUnused time.Time
	processed, unused           int
	lastOffers                  map[string]int // reason to offers of the last round
	lastReasons                 []map[string]any
}

// The reasons by which an offer does not fit, in the order in which they are asked.
var rejectReasons = []string{
	"UnfulfilledRole", "UnfulfilledConstraint", "NoCorrespondingReservationFound", "AgentMaintenance",
	"InsufficientCpus", "InsufficientMemory", "InsufficientDisk", "InsufficientGpus", "InsufficientPorts",
	"DeclinedScarceResources",
}

func (s *Sim) addAgent(a Agent) {
	s.agents = append(s.agents, &agent{Agent: a, id: fmt.Sprintf("%s-S%d", s.frameworkPrefix(), len(s.agents))})
}

func (s *Sim) frameworkPrefix() string {
	return fmt.Sprintf("%08x-sim0-4000-8000-000000000000", uint32(s.opt.Seed))
}

// wantOffers plans a round of offers if somebody waits who was not yet refused by everything that changed since.
func (s *Sim) wantOffers() {
	if s.offersPaused || s.leaderless {
		return
	}
	var wait time.Duration = -1
	for _, a := range s.apps {
		for _, in := range a.instances {
			if in.state != condScheduled || in.goal != goalRunning || in.rejected != nil {
				continue
			}
			d := max(s.opt.LaunchDelay, time.Until(a.backoffUntil))
			if wait < 0 || d < wait {
				wait = d
			}
		}
	}
	if r := s.offerRound; r != nil && !r.at.After(time.Now().Add(wait)) {
		return
	}
	if wait < 0 {
		return
	}
	var round *due
	round = s.after(wait, func() {
		if s.offerRound == round { // else an earlier one took its place: who waits long must not hold up who does not
			s.offerRound = nil
			s.match()
		}
	})
	s.offerRound = round
}

// resourcesChanged lets those who were refused look at the offers again.
func (s *Sim) resourcesChanged() {
	for _, a := range s.apps {
		for _, in := range a.instances {
			in.rejected = nil
		}
	}
}

// match is one round of offers: every waiting instance in turn takes the first agent that fits. Agents are asked from
// another start each time, so that apps spread.
func (s *Sim) match() {
	if len(s.agents) == 0 || s.offersPaused || s.leaderless {
		return
	}
	for _, a := range s.sortedApps() {
		if time.Now().Before(a.backoffUntil) {
			continue
		}
		for _, in := range slices.Clone(a.instances) {
			if in.state == condScheduled && in.goal == goalRunning && in.rejected == nil {
				s.place(in)
			}
		}
	}
}

func (s *Sim) place(in *instance) {
	q := &in.app.queue
	q.lastOffers, q.lastReasons = map[string]int{}, nil
	rejected := map[string]bool{}
	start := s.rng.IntN(len(s.agents))
	for i := range s.agents {
		ag := s.agents[(start+i)%len(s.agents)]
		if ag.lost {
			continue
		}
		q.processed++
		ports, reasons := s.fits(in, ag)
		if len(reasons) == 0 {
			q.lastUsed = time.Now()
			ag.take(in)
			s.launch(in, ag, ports)
			return
		}
		q.unused++
		q.lastUnused = time.Now()
		q.lastOffers[reasons[0]]++
		q.lastReasons = append(q.lastReasons, map[string]any{
			"offer": s.offerDoc(ag), "reason": reasons, "timestamp": formatTime(time.Now()),
		})
		for _, r := range reasons {
			rejected[r] = true
		}
	}
	in.rejected = rejected
}

func (s *Sim) offerDoc(ag *agent) map[string]any {
	return map[string]any{"id": ag.id + "-O", "agentId": ag.id, "hostname": ag.Hostname, "resources": []any{}, "attributes": []any{}}
}

// fits says with which ports the instance could run on the agent, or why it cannot: in Marathon's order.
func (s *Sim) fits(in *instance, ag *agent) ([]int, []string) {
	spec := &in.def.spec
	var why []string
	add := func(bad bool, reason string) {
		if bad {
			why = append(why, reason)
		}
	}
	reserved := len(in.volumes) > 0
	add(!s.roleAccepted(spec, ag), "UnfulfilledRole")
	add(!reserved && !s.constraintsMet(in, ag), "UnfulfilledConstraint")
	add(reserved && in.agent != ag, "NoCorrespondingReservationFound")
	add(ag.Maintenance, "AgentMaintenance")
	cpus, mem, disk, gpus := ag.free(in)
	wantDisk := spec.Disk
	for _, v := range spec.volumes() {
		wantDisk += v.Persistent.Size
	}
	const slack = 1e-9 // sums of decimal fractions
	add(spec.CPUs > cpus+slack, "InsufficientCpus")
	add(spec.Mem > mem+slack, "InsufficientMemory")
	add(wantDisk > disk+slack, "InsufficientDisk")
	add(spec.GPUs > gpus, "InsufficientGpus")
	ports, ok := s.choosePorts(in, ag)
	add(!ok, "InsufficientPorts")
	return ports, why
}

func (s *Sim) roleAccepted(spec *appSpec, ag *agent) bool {
	role := ag.Role
	if role == "" {
		role = "*"
	}
	if len(spec.Roles) == 0 {
		return role == "*" || role == s.opt.Role || role == spec.Role
	}
	return slices.Contains(spec.Roles, role)
}

// free is what the agent has left when the instance's own reservation is not counted.
func (ag *agent) free(except *instance) (cpus, mem, disk, gpus float64) {
	cpus, mem, disk = ag.CPUs, ag.Mem, ag.Disk
	for _, in := range ag.taken {
		if in == except {
			continue
		}
		cpus -= in.def.spec.CPUs
		mem -= in.def.spec.Mem
		disk -= in.def.spec.Disk
		for _, v := range in.volumes {
			disk -= v.Size
		}
	}
	return cpus, mem, disk, 0
}

// choosePorts takes fixed ports where they are required, else any free ones.
func (s *Sim) choosePorts(in *instance, ag *agent) ([]int, bool) {
	used := map[int]bool{}
	for _, other := range ag.taken {
		if other != in && other.live() {
			for _, p := range other.ports {
				used[p] = true
			}
		}
	}
	var out []int
	for _, want := range in.def.spec.hostPorts() {
		p := want
		if p == 0 {
			p = s.anyPort(ag, used)
		}
		if p == 0 || used[p] || !ag.offersPort(p) {
			return nil, false
		}
		used[p] = true
		out = append(out, p)
	}
	return out, true
}

// hostPorts are the ports wanted on the host, 0 for any.
func (a *appSpec) hostPorts() []int {
	var out []int
	if a.hostNetwork() {
		for _, p := range a.Ports {
			if a.RequirePorts {
				out = append(out, p.Port)
			} else {
				out = append(out, 0)
			}
		}
		return out
	}
	for _, m := range a.Container.Mappings {
		if m.HostPort != nil {
			out = append(out, *m.HostPort)
		}
	}
	return out
}

func (ag *agent) offersPort(p int) bool {
	for _, r := range ag.Ports {
		if p >= r.First && p <= r.Last {
			return true
		}
	}
	return false
}

// anyPort draws from the last range, so that low ranges stay for those who require them.
func (s *Sim) anyPort(ag *agent, used map[int]bool) int {
	for i := len(ag.Ports) - 1; i >= 0; i-- {
		r := ag.Ports[i]
		n := r.Last - r.First + 1
		start := s.rng.IntN(n)
		for k := range n {
			if p := r.First + (start+k)%n; !used[p] {
				return p
			}
		}
	}
	return 0
}

// take notes that an instance holds some of the agent; a resident already does when it comes back.
func (ag *agent) take(in *instance) {
	if !slices.Contains(ag.taken, in) {
		ag.taken = append(ag.taken, in)
	}
}

// release gives back what an instance held; its reservation only with everything.
func (s *Sim) release(in *instance, everything bool) {
	if in.agent == nil {
		return
	}
	if everything {
		for _, v := range in.volumes {
			s.opt.Runner.Destroy(in.agent.Hostname, v)
		}
		in.volumes = nil
	}
	if len(in.volumes) == 0 {
		in.agent.taken = slices.DeleteFunc(in.agent.taken, func(x *instance) bool { return x == in })
	}
	s.resourcesChanged()
}
