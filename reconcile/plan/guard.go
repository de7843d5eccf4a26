package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/spec"
)

// Guard looks at the whole fleet: if the commit would change more existing clusters than guards.maxClusters allows, it
// returns the Hold that stops all of them; nil if it may go on. digest names the fleet's rendered content: a human
// approves exactly that content by writing it to guards.approve. Brand-new clusters do not count.
func Guard(g spec.Guards, touched []spec.ClusterID, digest string) *Hold {
	if g.MaxClusters == 0 || len(touched) <= g.MaxClusters || g.Approve == digest {
		return nil
	}
	slices.SortFunc(touched, func(a, b spec.ClusterID) int { return strings.Compare(a.String(), b.String()) })
	var names []string
	for _, id := range touched {
		names = append(names, id.String())
	}
	const most = 5
	if len(names) > most {
		names = append(names[:most:most], fmt.Sprintf("%d more", len(names)-most))
	}
	return &Hold{Rule: RuleBlastRadius, Pos: g.Pos,
		Why:    fmt.Sprintf("this commit changes %d clusters (%s), guards.maxClusters is %d", len(touched), strings.Join(names, ", "), g.MaxClusters),
		WayOut: fmt.Sprintf("split the change, or write guards: {approve: %q} in fleet.yaml to approve exactly this content", digest)}
}

// Touches says whether the plan would change a cluster that exists already. One that is being set up is not touched by its
// own first settings.
func (c *Cluster) Touches() bool {
	for _, s := range c.Steps {
		if s.Verb != CreateApp && s.Verb != RecordUUID && s.Verb != CancelOwn && !(c.Fresh && s.Verb == ChangeCluster) {
			return true
		}
	}
	return false
}
