package marathonsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// servesMesos answers for the Mesos master under the Sim, at the Sim's own address, where /v2/info says it is: what its
// agents have, and which part of it is used, reserved or kept for an instance. It says whether the request was one of these.
// Form and field names are those of Mesos 1.11.
func (s *Sim) servesMesos(w http.ResponseWriter, r *http.Request) bool {
	parts := split(r.URL.Path)
	if len(parts) != 2 || parts[0] != "master" || r.Method != http.MethodGet {
		return false
	}
	s.mu.Lock()
	var doc any
	switch parts[1] {
	case "slaves":
		doc = s.slaves()
	case "roles":
		doc = map[string]any{"roles": []any{map[string]any{"name": s.opt.Role, "weight": 1.0, "frameworks": []any{s.frameworkPrefix() + "-0000"},
			"quota": map[string]any{"role": s.opt.Role, "guarantee": map[string]any{}, "limit": map[string]any{}, "consumed": map[string]any{}}}}}
	}
	s.mu.Unlock()
	if doc == nil {
		return false
	}
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err) // it holds only JSON values
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(b) // who went away learns nothing
	return true
}

func (s *Sim) slaves() map[string]any {
	list := []any{}
	for _, ag := range s.agents {
		list = append(list, s.slave(ag))
	}
	return map[string]any{"slaves": list, "recovered_slaves": []any{}}
}

func (s *Sim) slave(ag *agent) map[string]any {
	role := ag.Role
	if role == "" {
		role = "*"
	}
	var kept, used []any
	left := amounts{ag.CPUs, ag.Mem, ag.Disk}
	ports := ag.Ports
	for _, in := range ag.taken {
		if len(in.volumes) > 0 {
			mine := s.resources(in, s.opt.Role, s.keptFor(in))
			kept = append(kept, mine...)
			left = left.minus(in)
			if in.live() { // the ports of a stopped one the next offer has
				for _, p := range in.ports {
					ports = withoutPort(ports, p)
				}
				used = append(used, mine...)
			}
		} else {
			used = append(used, s.resources(in, role, reservedFor(role))...)
		}
	}
	all := left.resources(ports, role, reservedFor(role))
	open, reserved := all, map[string]any{}
	if role != "*" {
		open = []any{}
		reserved[role] = all
	}
	if len(kept) > 0 {
		before, _ := reserved[s.opt.Role].([]any)
		reserved[s.opt.Role] = slices.Concat(before, kept)
	}
	return map[string]any{
		"id": ag.id, "hostname": ag.Hostname, "port": 5051, "active": !ag.lost, "deactivated": false, "version": "1.11.0", "attributes": ag.Attributes,
		"domain":                    map[string]any{"fault_domain": map[string]any{"region": map[string]any{"name": ag.Region}, "zone": map[string]any{"name": ag.Zone}}},
		"resources":                 map[string]any{"cpus": ag.CPUs, "mem": ag.Mem, "disk": ag.Disk, "gpus": 0, "ports": rangesText(ag.Ports)},
		"unreserved_resources_full": open, "reserved_resources_full": reserved, "used_resources_full": append([]any{}, used...), "offered_resources_full": []any{},
	}
}

// amounts of what an agent has.
type amounts struct{ cpus, mem, disk float64 }

func (a amounts) minus(in *instance) amounts {
	a.cpus, a.mem, a.disk = a.cpus-in.def.spec.CPUs, a.mem-in.def.spec.Mem, a.disk-in.def.spec.Disk
	for _, v := range in.volumes {
		a.disk -= v.Size
	}
	return a
}

// resources writes them in Mesos' own form; reservation is what makes them somebody's.
func (a amounts) resources(ports []PortRange, role string, reservation map[string]any) []any {
	var out []any
	for _, x := range []struct {
		name string
		n    float64
	}{{"cpus", a.cpus}, {"mem", a.mem}, {"disk", a.disk}} {
		if x.n > 0 {
			out = append(out, resource(x.name, role, reservation, map[string]any{"type": "SCALAR", "scalar": map[string]any{"value": x.n}}))
		}
	}
	ranges := []any{}
	for _, r := range ports {
		ranges = append(ranges, map[string]any{"begin": r.First, "end": r.Last})
	}
	if len(ranges) > 0 {
		out = append(out, resource("ports", role, reservation, map[string]any{"type": "RANGES", "ranges": map[string]any{"range": ranges}}))
	}
	return out
}

func resource(name, role string, reservation, rest map[string]any) map[string]any {
	rest["name"], rest["role"] = name, role
	if reservation != nil {
		rest["reservations"] = []any{reservation}
	}
	return rest
}

// reservedFor is a static reservation; nil where everybody may have it.
func reservedFor(role string) map[string]any {
	if role == "*" {
		return nil
	}
	return map[string]any{"role": role, "type": "STATIC"}
}

// keptFor is Marathon's own reservation for an instance with volumes.
func (s *Sim) keptFor(in *instance) map[string]any {
	return map[string]any{"role": s.opt.Role, "type": "DYNAMIC", "labels": map[string]any{"labels": []any{
		map[string]any{"key": "marathon_framework_id", "value": s.frameworkPrefix() + "-0000"},
		map[string]any{"key": "marathon_task_id", "value": s.instanceID(in)}}}}
}

// resources are what an instance holds, its volumes told apart from other disk.
func (s *Sim) resources(in *instance, role string, reservation map[string]any) []any {
	var ports []PortRange
	for _, p := range in.ports {
		ports = append(ports, PortRange{p, p})
	}
	spec := &in.def.spec
	if !in.live() {
		ports = nil
	}
	out := amounts{spec.CPUs, spec.Mem, spec.Disk}.resources(ports, role, reservation)
	for _, v := range in.volumes {
		out = append(out, resource("disk", role, reservation, map[string]any{"type": "SCALAR", "scalar": map[string]any{"value": v.Size},
			"disk": map[string]any{"persistence": map[string]any{"id": v.PersistenceID, "principal": "marathon"},
				"volume": map[string]any{"container_path": v.ContainerPath, "mode": "RW"}}}))
	}
	return out
}

func withoutPort(ranges []PortRange, port int) []PortRange {
	var out []PortRange
	for _, r := range ranges {
		if port < r.First || r.Last < port {
			out = append(out, r)
			continue
		}
		if r.First < port {
			out = append(out, PortRange{r.First, port - 1})
		}
		if port < r.Last {
			out = append(out, PortRange{port + 1, r.Last})
		}
	}
	return out
}

func rangesText(ranges []PortRange) string {
	var parts []string
	for _, r := range ranges {
		parts = append(parts, fmt.Sprintf("%d-%d", r.First, r.Last))
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
