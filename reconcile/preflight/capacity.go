package preflight

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/spec"
)

// A Report says what the pools have, and for how many more nodes of each app there is room. As JSON it is API.
type Report struct {
	Version string      `json:"version"` // of the report's form
	Pools   []PoolUse   `json:"pools"`
	Apps    []AppGrowth `json:"apps"`
}

// NewReport is an empty report; its lists are never null.
func NewReport() Report {
	return Report{Version: "esfleet.capacity/v1", Pools: []PoolUse{}, Apps: []AppGrowth{}}
}

// PoolUse is what the agents under a Mesos master have, of those that take tasks.
type PoolUse struct {
	Marathons []spec.MarathonName `json:"marathons"` // that share it
	Master    string              `json:"master,omitempty"`
	Known     bool                `json:"known"`
	Why       string              `json:"why,omitempty"` // if not known
	Agents    int                 `json:"agents"`
	Taking    int                 `json:"taking"` // of them take tasks
	CPUs      UseCPUs             `json:"cpus"`
	Memory    UseBytes            `json:"memory"`
	Disk      UseBytes            `json:"disk"` // mount disks included
}

// UseCPUs is how many are used, kept for instances with volumes included, and how many there are.
type UseCPUs struct {
	Used  float64 `json:"used"`
	Total float64 `json:"total"`
}

// UseBytes is the same of a size.
type UseBytes struct {
	Used  spec.Bytes `json:"used"`
	Total spec.Bytes `json:"total"`
}

// AppGrowth is the room for more instances of one app, each app taken by itself.
type AppGrowth struct {
	Cluster string         `json:"cluster"`
	App     marathon.AppID `json:"app"`
	Needs   string         `json:"needs"` // each
	// Room is how many more there are places for, at most 1000; -1 if that is not known.
	Room int    `json:"room"`
	Why  string `json:"why,omitempty"` // there is none, or it is not known
}

// mostMore is where counting ends.
const mostMore = 1000

// Use sums up the pool for the Marathons that share it.
func (p *Pool) Use(marathons []spec.MarathonName) PoolUse {
	out := PoolUse{Marathons: marathons, Master: p.Master, Known: p.Known, Why: p.Why, Agents: len(p.Agents)}
	var total, free Resources
	for i := range p.Agents {
		a := &p.Agents[i]
		if a.Down != "" {
			continue
		}
		out.Taking++
		total, free = total.Plus(a.Total), free.Plus(a.Free)
		for _, m := range a.Free.Mounts {
			free.Disk += m
		}
		for _, r := range a.Reserved {
			free = free.Plus(r)
		}
	}
	used := total.Without(free)
	out.CPUs = UseCPUs{used.CPUs.CPUs(), total.CPUs.CPUs()}
	out.Memory, out.Disk = UseBytes{used.Mem.Bytes(), total.Mem.Bytes()}, UseBytes{used.Disk.Bytes(), total.Disk.Bytes()}
	return out
}

// Growth says for how many more instances like it there is room, if nothing else came.
func (p *Pool) Growth(cluster string, it Item) AppGrowth {
	out := AppGrowth{Cluster: cluster, App: it.App, Needs: it.needs(), Room: -1}
	it.Count = 1
	first := Place(p, Ask{Items: []Item{it}})
	if first.Answer != Fits {
		out.Why = first.Why
		if first.Answer == NoRoom {
			out.Room = 0
		}
		return out
	}
	s := newSearch(p, Ask{Items: []Item{it}})
	upTo := 0
	for h := range s.hosts {
		upTo += s.most(0, h, s.hosts[h].room, mostMore-upTo)
	}
	out.Room = 1
	for out.Room < upTo { // what fits n fits fewer
		it.Count = (out.Room + upTo + 1) / 2
		if Place(p, Ask{Items: []Item{it}}).Answer == Fits {
			out.Room = it.Count
		} else {
			upTo = it.Count - 1
		}
	}
	return out
}

// Text writes the report for a terminal.
func (r *Report) Text(w io.Writer) error {
	b := &strings.Builder{}
	t := tabwriter.NewWriter(b, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(t, "POOL\tMARATHONS\tAGENTS\tCPUS\tMEMORY\tDISK")
	for _, p := range r.Pools {
		names := make([]string, len(p.Marathons))
		for i, n := range p.Marathons {
			names[i] = string(n)
		}
		if !p.Known {
			_, _ = fmt.Fprintf(t, "unknown\t%s\t%s\n", strings.Join(names, ", "), p.Why)
			continue
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%d of %d\t%s of %s\t%s of %s\t%s of %s\n", p.Master, strings.Join(names, ", "), p.Taking, p.Agents,
			number(p.CPUs.Used), number(p.CPUs.Total), rounded(p.Memory.Used), rounded(p.Memory.Total), rounded(p.Disk.Used), rounded(p.Disk.Total))
	}
	_ = t.Flush() // into memory
	b.WriteString("\n")
	_, _ = fmt.Fprintln(t, "CLUSTER\tAPP\tROOM FOR\tONE MORE NEEDS")
	for _, a := range r.Apps {
		room := fmt.Sprintf("%d more", a.Room)
		if a.Room < 0 {
			room = "unknown"
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", a.Cluster, a.App.Name(), room, cmp.Or(a.Why, a.Needs))
	}
	_ = t.Flush()
	_, err := io.WriteString(w, b.String())
	return err
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// rounded writes a size with at most one decimal.
func rounded(b spec.Bytes) string {
	for _, u := range []struct {
		size spec.Bytes
		name string
	}{{spec.TiB, "TiB"}, {spec.GiB, "GiB"}, {spec.MiB, "MiB"}} {
		if b >= u.size {
			return strings.TrimSuffix(strconv.FormatFloat(float64(b)/float64(u.size), 'f', 1, 64), ".0") + u.name
		}
	}
	return "0"
}

// Places are where an app's instances are, whatever they run: those that are stopped hold their place as well. Those in
// gone are left out.
func Places(live *marathon.App, gone []marathon.InstanceID) []Placed {
	var out []Placed
	for _, t := range live.Tasks {
		if (t.Active() || t.Suspended() || t.Unreachable()) && !slices.Contains(gone, t.ID.Instance()) {
			out = append(out, Placed{Host: t.Host, AgentID: t.SlaveID})
		}
	}
	return out
}
