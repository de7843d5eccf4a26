package marathon

import (
	"math"
	"regexp"
	"strconv"
)

// A Constraint is [field, operator] or [field, operator, value], as an app's definition has it.
type Constraint []string

// Field, Operator and Value are its parts, "" where it has none.
func (c Constraint) Field() string    { return c.part(0) }
func (c Constraint) Operator() string { return c.part(1) }
func (c Constraint) Value() string    { return c.part(2) }

func (c Constraint) part(i int) string {
	if i < len(c) {
		return c[i]
	}
	return ""
}

// OfHost says that the field is the agent's hostname.
func (c Constraint) OfHost() bool { return c.Field() == "hostname" || c.Field() == "@hostname" }

// Static says that an agent meets the constraint, or does not, wherever other instances are.
func (c Constraint) Static() bool {
	switch c.Operator() {
	case "LIKE", "UNLIKE", "IS":
		return true
	case "CLUSTER":
		return c.Value() != ""
	}
	return false
}

// PerValue is how many instances may share a value of the field; false if the constraint sets no such number.
func (c Constraint) PerValue() (int, bool) {
	switch c.Operator() {
	case "UNIQUE":
		return 1, true
	case "MAX_PER":
		n, err := strconv.Atoi(c.Value())
		return n, err == nil
	}
	return 0, false
}

// Readable says whether the constraint can be judged here. Marathon's patterns are Java's: some of them, with a look ahead
// or a back reference, Go does not know.
func (c Constraint) Readable() bool {
	switch c.Operator() {
	case "UNIQUE", "CLUSTER", "IS", "GROUP_BY":
		return true
	case "MAX_PER":
		_, ok := c.PerValue()
		return ok
	case "LIKE", "UNLIKE":
		_, err := c.pattern()
		return err == nil
	}
	return false
}

func (c Constraint) pattern() (*regexp.Regexp, error) {
	return regexp.Compile("^(?:" + c.Value() + ")$")
}

// A Place is an agent as constraints see it: the value of a field, and whether it has it.
type Place interface {
	Field(name string) (string, bool)
}

// MeetsConstraint says whether an instance may come to the agent at, where placed are the agents that hold the app's other
// instances that Marathon counts. A constraint that is not Readable is not met.
func MeetsConstraint[P Place](c Constraint, at P, placed []P) bool {
	mine, has := at.Field(c.Field())
	if !has {
		return c.Operator() == "UNLIKE"
	}
	switch c.Operator() {
	case "LIKE", "UNLIKE":
		re, err := c.pattern()
		return err == nil && c.Value() != "" && re.MatchString(mine) == (c.Operator() == "LIKE")
	case "IS":
		return scalar(mine) == scalar(c.Value())
	}
	groups := map[string]int{}
	for _, p := range placed {
		if v, ok := p.Field(c.Field()); ok {
			groups[v]++
		}
	}
	switch c.Operator() {
	case "CLUSTER":
		if c.Value() != "" {
			return mine == c.Value()
		}
		return len(placed) == 0 || groups[mine] > 0
	case "GROUP_BY":
		return groupBy(groups, mine, c.Value())
	}
	n, ok := c.PerValue()
	return ok && groups[mine] < n
}

// groupBy: a group not seen yet passes; else there must be enough groups and this one be among the smallest.
func groupBy(groups map[string]int, mine, value string) bool {
	if groups[mine] == 0 {
		return true
	}
	want, _ := strconv.Atoi(value) // no number: any number of groups will do
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
