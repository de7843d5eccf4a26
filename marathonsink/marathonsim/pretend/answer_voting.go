package pretend

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// exclusionPath: the form with names in the path is gone in 8.0.
func exclusionPath(v version) bool { return v.opensearch || v.major == 7 }

// mostExclusions is cluster.max_voting_config_exclusions.
const mostExclusions = 10

// exclude is the form with parameters, which takes absent nodes too.
func (x *call) exclude() answer {
	names, ids := words(x.q.Get("node_names")), words(x.q.Get("node_ids"))
	if (len(names) == 0) == (len(ids) == 0) {
		return failure(http.StatusBadRequest, "illegal_argument_exception", "Please set node identifiers correctly. One and only one of [node_name], [node_names] and [node_ids] has to be set")
	}
	var add []exclusion
	for _, name := range names {
		e := exclusion{"_absent_", name}
		for _, n := range x.c.members {
			if n.name == name && x.c.eligible(n) {
				e.id = n.id
			}
		}
		add = append(add, e)
	}
	for _, id := range ids {
		e := exclusion{id, "_absent_"}
		for _, n := range x.c.members {
			if n.id == id && x.c.eligible(n) {
				e.name = n.name
			}
		}
		add = append(add, e)
	}
	return x.addExclusions(add)
}

// excludePath is the older form, whose nodes must be there.
func (x *call) excludePath() answer {
	var add []exclusion
	for _, n := range x.c.members {
		if x.c.eligible(n) && (matches(words(x.parts[2]), n.name) || n.id == x.parts[2]) {
			add = append(add, exclusion{n.id, n.name})
		}
	}
	if len(add) == 0 {
		word := "master"
		if x.version.opensearch && x.version.major >= 2 {
			word = "cluster-manager"
		}
		return failure(http.StatusBadRequest, "illegal_argument_exception", fmt.Sprintf("add voting config exclusions request for [%s] matched no %s-eligible nodes", x.parts[2], word))
	}
	return x.addExclusions(add)
}

func (x *call) addExclusions(add []exclusion) answer {
	m := x.c.meta
	all := slices.Clone(m.exclusions)
	for _, e := range add {
		if !slices.Contains(all, e) {
			all = append(all, e)
		}
	}
	if len(all) > mostExclusions {
		return failure(http.StatusBadRequest, "illegal_argument_exception", fmt.Sprintf("add voting config exclusions request would add more exclusions than the maximum of [%d] set by [cluster.max_voting_config_exclusions]", mostExclusions))
	}
	m.exclusions = all
	return ok(obj{})
}

// excludedDoNotVote is what a good answer promises.
func (x *call) excludedDoNotVote() bool {
	m := x.c.meta
	return !slices.ContainsFunc(m.exclusions, func(e exclusion) bool { return slices.Contains(m.voting, e.id) })
}

func (x *call) includeAll() answer {
	for k := range x.q {
		if !slices.Contains([]string{"wait_for_removal", "master_timeout", "cluster_manager_timeout", "pretty", "human", "error_trace", "filter_path"}, k) {
			return *x.refuseParameter(k)
		}
	}
	if x.flag("wait_for_removal", true) {
		var here []string
		for _, e := range x.c.meta.exclusions {
			if slices.ContainsFunc(x.c.members, func(n *node) bool { return n.id == e.id }) {
				here = append(here, e.name)
			}
		}
		if len(here) > 0 {
			return failure(http.StatusServiceUnavailable, "timeout_exception", "timed out waiting for removal of nodes; if nodes should not be removed, set waitForRemoval to false. ["+strings.Join(here, ", ")+"]")
		}
	}
	x.c.meta.exclusions = nil
	return ok(obj{})
}
