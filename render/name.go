package render

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/spec"
)

// ClusterName is Elasticsearch's cluster.name: what a node must answer to belong to c.
func ClusterName(c *spec.Cluster) string { return string(c.ID.Group) + "-" + string(c.ID.Name) }

// AppID is where a component's first generation lives in Marathon. Components without data have no other.
func AppID(id spec.ClusterID, c spec.Component) marathon.AppID {
	return appID(id, c, 1)
}

// AppIDOf is where c wants a component to live: data nodes of a later generation are an app beside those before, because
// Marathon never changes the resources of an app with volumes.
func AppIDOf(c *spec.Cluster, component spec.Component) marathon.AppID {
	return appID(c.ID, component, generation(c, component))
}

// GenerationOf is the generation of a data app, by its id; ok is false for the id of any other app. An app of ours that git
// does not know, and that holds an older generation of what git wants, is to be emptied, not an orphan to be wondered about.
func GenerationOf(id marathon.AppID) (n int, ok bool) {
	suffix, data := strings.CutPrefix(id.Name(), spec.Data.AppName())
	if !data || suffix == "" {
		return 1, data
	}
	digits, data := strings.CutPrefix(suffix, "-g")
	n, err := strconv.Atoi(digits)
	if !data || err != nil || n < 2 || strconv.Itoa(n) != digits {
		return 0, false
	}
	return n, true
}

func appID(id spec.ClusterID, c spec.Component, generation int) marathon.AppID {
	return marathon.AppID(fmt.Sprintf("/%s/%s/%s%s", id.Group, id.Name, c.AppName(), suffixOf(generation)))
}

func generation(c *spec.Cluster, component spec.Component) int {
	if n := c.Nodes[component]; component == spec.Data && n != nil {
		return max(1, n.Generation)
	}
	return 1
}

// suffixOf keeps the first generation's names as they were before there was a second.
func suffixOf(generation int) string {
	if generation <= 1 {
		return ""
	}
	return "-g" + strconv.Itoa(generation)
}

// NodeName is the node.name that the boot script gives to an instance on a host, the same for every run of it. Generations
// differ in it, because two of them meet on one host; where nodes of one app may share a host, so do instances.
func NodeName(c *spec.Cluster, component spec.Component, host string, instance marathon.InstanceID) string {
	name := nodePrefix(c, component) + "-" + host
	if n := c.Nodes[component]; n != nil && !alone(n) {
		name += "-" + string(instance[:min(8, len(instance))])
	}
	return name
}

func nodePrefix(c *spec.Cluster, component spec.Component) string {
	return string(component) + suffixOf(generation(c, component))
}

// alone says that no two nodes of the app are on one host.
func alone(n *spec.Nodes) bool { return n.PerHost <= 1 }
