package mesosclient

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/preflight"
)

// A slave is an agent as GET /slaves shows it, from Mesos 0.28 on. What a version does not have is nil.
type slave struct {
	ID          string           `json:"id"`
	Hostname    string           `json:"hostname"`
	Active      bool             `json:"active"`
	Deactivated bool             `json:"deactivated"`
	Drain       *json.RawMessage `json:"drain_info"`
	Attributes  map[string]any   `json:"attributes"`
	Domain      struct {
		Fault struct {
			Region, Zone struct{ Name string }
		} `json:"fault_domain"`
	} `json:"domain"`
	Total      map[string]any        `json:"resources"`
	Unreserved map[string]any        `json:"unreserved_resources"`
	Open       []resource            `json:"unreserved_resources_full"` // from 1.4 on
	Used       []resource            `json:"used_resources_full"`
	Reserved   map[string][]resource `json:"reserved_resources_full"`
}

// A resource is Mesos' own form of one.
type resource struct {
	Name   string
	Scalar struct{ Value float64 }
	Ranges struct{ Range []struct{ Begin, End int } }
	Role   string
	// Reservation is the old form, Reservations the new one, from 1.4 on; its last entry is the one that counts.
	Reservation  *reservation
	Reservations []reservation
	Revocable    *json.RawMessage
	Disk         struct {
		Persistence *json.RawMessage
		Source      *struct{ Type string }
	}
}

type reservation struct {
	Role   string
	Labels struct {
		Labels []struct{ Key, Value string }
	}
}

// role is whose the resource is; "*" is everybody's.
func (r *resource) role() string {
	if n := len(r.Reservations); n > 0 {
		return r.Reservations[n-1].Role
	}
	return cmp.Or(r.Role, "*")
}

// instance is which of Marathon's instances the resource is kept for; "" if it is not.
func (r *resource) instance() marathon.InstanceID {
	all := r.Reservations
	if r.Reservation != nil {
		all = append(slices.Clip(all), *r.Reservation)
	}
	for _, x := range all {
		for _, l := range x.Labels.Labels {
			if l.Key == "marathon_task_id" {
				return marathon.TaskID(clean(l.Value)).Instance()
			}
		}
	}
	return ""
}

// of is the resource as Resources. Those that Mesos may take back, and disks of a kind that nobody asks for, are nothing.
func (r *resource) of() preflight.Resources {
	var out preflight.Resources
	if r.Revocable != nil {
		return out
	}
	switch n := preflight.AmountOf(r.Scalar.Value); {
	case r.Name == "cpus":
		out.CPUs = n
	case r.Name == "mem":
		out.Mem = n
	case r.Name == "disk" && r.Disk.Source == nil:
		out.Disk = n
	case r.Name == "disk" && r.Disk.Source.Type == "MOUNT":
		out.Mounts = []preflight.Amount{n}
	case r.Name == "ports":
		var ranges []preflight.PortRange
		for _, x := range r.Ranges.Range {
			ranges = append(ranges, preflight.PortRange{First: x.Begin, Last: x.End})
		}
		out.Ports = preflight.NewPorts(ranges)
	}
	return out
}

// agent sorts what an agent has into what is free for whom.
func (s *slave) agent() (preflight.Agent, error) {
	if s.Used == nil {
		return preflight.Agent{}, errors.New("it does not tell what is used of which role's resources, as Mesos does from 0.28 on")
	}
	a := preflight.Agent{ID: clean(s.ID), Hostname: clean(s.Hostname), Region: clean(s.Domain.Fault.Region.Name), Zone: clean(s.Domain.Fault.Zone.Name),
		Attributes: map[string]string{}, Down: s.down(), Reserved: map[string]preflight.Resources{}, Held: map[marathon.InstanceID]preflight.Resources{}}
	for k, v := range s.Attributes {
		a.Attributes[clean(k)] = text(v)
	}
	var err error
	if a.Total, err = sums(s.Total); err != nil {
		return a, err
	}
	if s.Open == nil {
		if a.Free, err = sums(s.Unreserved); err != nil {
			return a, err
		}
	}
	for i := range s.Open {
		a.Free = a.Free.Plus(s.Open[i].of())
	}
	for role, list := range s.Reserved {
		for i := range list {
			r := &list[i]
			if id := r.instance(); id != "" {
				a.Held[id] = a.Held[id].Plus(r.of())
			} else if r.Disk.Persistence == nil { // a volume is nobody's room
				a.Reserved[clean(role)] = a.Reserved[clean(role)].Plus(r.of())
			}
		}
	}
	for i := range s.Used {
		switch r := &s.Used[i]; {
		case r.instance() != "" || r.Disk.Persistence != nil:
		case r.role() == "*":
			a.Free = a.Free.Without(r.of())
		default:
			a.Reserved[r.role()] = a.Reserved[r.role()].Without(r.of())
		}
	}
	return a, nil
}

func (s *slave) down() string {
	switch {
	case s.Deactivated:
		return "deactivated"
	case s.Drain != nil && string(*s.Drain) != "null":
		return "draining"
	case !s.Active:
		return "not connected"
	}
	return ""
}

// sums reads the short form: numbers, and ranges as text.
func sums(m map[string]any) (preflight.Resources, error) {
	number := func(k string) float64 {
		f, _ := m[k].(float64)
		return f
	}
	out := preflight.Resources{CPUs: preflight.AmountOf(number("cpus")), Mem: preflight.AmountOf(number("mem")), Disk: preflight.AmountOf(number("disk"))}
	written, _ := m["ports"].(string)
	var ranges []preflight.PortRange
	for part := range strings.SplitSeq(strings.Trim(written, "[] "), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		first, last, _ := strings.Cut(part, "-")
		a, err1 := strconv.Atoi(first)
		b, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil {
			return out, fmt.Errorf("ports %q cannot be read", clean(written))
		}
		ranges = append(ranges, preflight.PortRange{First: a, Last: b})
	}
	out.Ports = preflight.NewPorts(ranges)
	return out, nil
}

// text writes an attribute as Marathon does: numbers with at most three decimals.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return clean(v)
	case float64:
		return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(v, 'f', 3, 64), "0"), ".")
	}
	return ""
}

// clean bounds what comes from the network and is shown to people: one line, no control characters.
func clean(s string) string {
	const most = 255
	if r := []rune(s); len(r) > most {
		s = string(r[:most])
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\u2028' || r == '\u2029' {
			return '?'
		}
		return r
	}, s)
}

// A mesosRole is one of GET /roles. Before 1.9 it has no limit.
type mesosRole struct {
	Name  string
	Quota struct{ Limit, Consumed map[string]any }
}

// headroom is what is left of the limits of each role that has one.
func headroom(roles []mesosRole) map[string]preflight.Headroom {
	out := map[string]preflight.Headroom{}
	for _, r := range roles {
		left := func(k string) *preflight.Amount {
			limit, ok := r.Quota.Limit[k].(float64)
			if !ok {
				return nil
			}
			consumed, _ := r.Quota.Consumed[k].(float64)
			n := preflight.AmountOf(limit - consumed)
			return &n
		}
		if h := (preflight.Headroom{CPUs: left("cpus"), Mem: left("mem"), Disk: left("disk")}); h != (preflight.Headroom{}) {
			out[clean(r.Name)] = h
		}
	}
	return out
}
