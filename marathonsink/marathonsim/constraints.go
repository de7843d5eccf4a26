package marathonsim

import (
	"math"
	"regexp"
	"strconv"
)

// constraintsMet asks every constraint of the instance's definition about the agent.
//
// Only instances launched since the last change of configuration are counted: in a mixed state a new instance may
// share a host with a running old one in spite of UNIQUE. Every Marathon measured does this.
func (s *Sim) constraintsMet(in *instance, ag *agent) bool {
	var placed []*agent
	for _, other := range in.app.instances {
		if other == in || other.agent == nil || other.state == condUnreachable || other.def.version < in.def.lastConfig {
			continue
		}
		if other.live() || other.suspended() || len(other.volumes) > 0 {
			placed = append(placed, other.agent)
		}
	}
	for _, c := range in.def.spec.Constraints {
		if !constraintMet(c, ag, placed) {
			return false
		}
	}
	return true
}

func constraintMet(c []string, ag *agent, placed []*agent) bool {
	field, op, value := c[0], c[1], ""
	if len(c) > 2 {
		value = c[2]
	}
	mine, has := ag.field(field)
	if !has {
		return op == "UNLIKE"
	}
	groups := map[string]int{}
	for _, p := range placed {
		if v, ok := p.field(field); ok {
			groups[v]++
		}
	}
	switch op {
	case "UNIQUE":
		return groups[mine] == 0
	case "CLUSTER":
		if value != "" {
			return mine == value
		}
		return len(placed) == 0 || groups[mine] > 0
	case "LIKE", "UNLIKE":
		re, err := regexp.Compile("^(?:" + value + ")$")
		if err != nil || value == "" {
			return false
		}
		return re.MatchString(mine) == (op == "LIKE")
	case "IS":
		return scalar(mine) == scalar(value)
	case "MAX_PER":
		n, err := strconv.Atoi(value)
		return err == nil && groups[mine] < n
	case "GROUP_BY":
		return groupByMet(groups, mine, value)
	}
	return false
}

// groupByMet: a group not seen yet passes; else there must be enough groups and this one be among the smallest.
func groupByMet(groups map[string]int, mine, value string) bool {
	if groups[mine] == 0 {
		return true
	}
	want, _ := strconv.Atoi(value)
	least := math.MaxInt
	for _, n := range groups {
		least = min(least, n)
	}
	return len(groups) >= want && groups[mine] == least
}

// scalar writes a number as Marathon compares it, 2.50 as 2.5; other text stays.
func scalar(v string) string {
	f, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return v
	}
	return strconv.FormatFloat(math.Round(f*1000)/1000, 'f', -1, 64)
}

func (ag *agent) field(name string) (string, bool) {
	switch name {
	case "hostname", "@hostname":
		return ag.Hostname, true
	case "@region":
		return ag.Region, ag.Region != ""
	case "@zone":
		return ag.Zone, ag.Zone != ""
	}
	v, ok := ag.Attributes[name]
	return v, ok
}
