package preflight

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// An Ask is what is to be placed together.
type Ask struct {
	Items []Item
	// Frees are instances that are gone, with their volumes, before any item is placed.
	Frees []marathon.InstanceID
}

// Count is how many instances are to be placed.
func (a *Ask) Count() int {
	n := 0
	for i := range a.Items {
		n += a.Items[i].Count
	}
	return n
}

// An Item is a number of equal new instances of one app. Instances that come back on a volume of their own need nothing:
// what they need is kept for them.
type Item struct {
	App   marathon.AppID
	Count int
	// CPUs, Mem (MiB) and Disk (MiB, root volumes included) of each.
	CPUs, Mem, Disk Amount
	// Mounts are the least sizes of the mount disks that each takes whole.
	Mounts []Amount
	// Ports are the host ports of each; 0 is any.
	Ports []int
	// Role is the app's own, "" for its Marathon's; Roles are those whose resources it accepts, nil: its own and "*".
	Role  string
	Roles []string
	// Resident says that it has volumes: Marathon reserves all it needs, out of what no role has for itself.
	Resident    bool
	Constraints []marathon.Constraint
	// Placed are the app's other instances. All of them count: also those of an older definition, which Marathon forgets,
	// must not share a host with a new one.
	Placed []Placed
	// Unclear says what of the app cannot be judged; then only a "no" is an answer.
	Unclear string
}

// Placed is where an instance is.
type Placed struct{ Host, AgentID string }

// definition is what placing needs of an app.
type definition struct {
	CPUs         float64    `json:"cpus"`
	Mem          float64    `json:"mem"`
	Disk         float64    `json:"disk"`
	GPUs         float64    `json:"gpus"`
	Role         string     `json:"role"`
	Roles        []string   `json:"acceptedResourceRoles"`
	Constraints  [][]string `json:"constraints"`
	RequirePorts bool       `json:"requirePorts"`
	Ports        []struct {
		Port int `json:"port"`
	} `json:"portDefinitions"`
	Container struct {
		Volumes []struct {
			Persistent *struct {
				Type        string            `json:"type"`
				Size        float64           `json:"size"`
				Constraints []json.RawMessage `json:"constraints"`
			} `json:"persistent"`
		} `json:"volumes"`
	} `json:"container"`
}

var parts = []string{"cpus", "mem", "disk", "gpus", "role", "acceptedResourceRoles", "constraints", "requirePorts", "portDefinitions", "container"}

// ItemOf reads what count instances of an app with host networking ask of an agent, from its definition.
func ItemOf(app marathon.AppID, doc marathon.Doc, count int) (Item, error) {
	few := marathon.Doc{} // the environment holds the bundle, and is large
	for _, k := range parts {
		if v, ok := doc[k]; ok {
			few[k] = v
		}
	}
	b, err := json.Marshal(few)
	if err != nil {
		return Item{}, fmt.Errorf("read what %s needs: %w", app, err)
	}
	var d definition
	if err := json.Unmarshal(b, &d); err != nil {
		return Item{}, fmt.Errorf("read what %s needs: %w", app, err)
	}
	it := Item{App: app, Count: count, CPUs: AmountOf(d.CPUs), Mem: AmountOf(d.Mem), Disk: AmountOf(d.Disk), Role: d.Role, Roles: d.Roles}
	for _, c := range d.Constraints {
		it.Constraints = append(it.Constraints, c)
	}
	for _, p := range d.Ports {
		if !d.RequirePorts {
			p.Port = 0
		}
		it.Ports = append(it.Ports, p.Port)
	}
	for _, v := range d.Container.Volumes {
		if v.Persistent == nil {
			continue
		}
		it.Resident = true
		switch {
		case len(v.Persistent.Constraints) > 0:
			it.Unclear = "constraints of a volume"
		case v.Persistent.Type == "mount":
			it.Mounts = append(it.Mounts, AmountOf(v.Persistent.Size))
		case v.Persistent.Type == "root" || v.Persistent.Type == "":
			it.Disk += AmountOf(v.Persistent.Size)
		default:
			it.Unclear = "a volume of type " + v.Persistent.Type
		}
	}
	if d.GPUs > 0 {
		it.Unclear = "gpus"
	}
	slices.Sort(it.Mounts)
	return it, nil
}

// perHost is how many instances of the item one host may hold; false if its constraints leave that open.
func (it *Item) perHost() (most int, limited bool) {
	for _, c := range it.Constraints {
		if n, ok := c.PerValue(); ok && c.OfHost() && (!limited || n < most) {
			most, limited = n, true
		}
	}
	return most, limited
}

// unreadable names a constraint that only Marathon can judge; nil if there is none.
func (it *Item) unreadable() marathon.Constraint {
	for _, c := range it.Constraints {
		if !c.Readable() {
			return c
		}
	}
	return nil
}

// accepts says whether resources that a role has for itself may be taken.
func (it *Item) accepts(role, poolRole string) bool {
	if it.Resident && role != "*" {
		return false
	}
	if it.Roles != nil {
		return slices.Contains(it.Roles, role)
	}
	return role == "*" || role == it.role(poolRole)
}

func (it *Item) role(poolRole string) string {
	if it.Role != "" {
		return it.Role
	}
	return poolRole
}
