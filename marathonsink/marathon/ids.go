package marathon

import "strings"

// An AppID is absolute and begins with a slash: /search/logs/es-master.
type AppID string

// Group is the id without its last segment: /search/logs.
func (id AppID) Group() string {
	i := strings.LastIndexByte(string(id), '/')
	if i <= 0 {
		return "/"
	}
	return string(id[:i])
}

// Name is the last segment.
func (id AppID) Name() string {
	return string(id[strings.LastIndexByte(string(id), '/')+1:])
}

// A TaskID names one run of an instance. Up to 1.7 it is app.uuid or app.uuid.N, from 1.8 app.instance-uuid._app.N.
type TaskID string

// An InstanceID names one instance over all its runs: the uuid inside the TaskID.
type InstanceID string

// Instance takes the uuid out of a task id of any version. An id without one is its own instance.
func (t TaskID) Instance() InstanceID {
	for _, part := range strings.Split(string(t), ".") {
		part = strings.TrimPrefix(strings.TrimPrefix(part, "instance-"), "marathon-")
		if len(part) == 36 && strings.Count(part, "-") == 4 {
			return InstanceID(part)
		}
	}
	return InstanceID(t)
}

// A DeploymentID names a deployment; it survives a change of leader.
type DeploymentID string

// The labels by which esfleet knows its own apps. What lacks LabelFleet is foreign: shown, never touched.
const (
	LabelFleet     = "esfleet.fleet"
	LabelGroup     = "esfleet.group"
	LabelCluster   = "esfleet.cluster"
	LabelComponent = "esfleet.component"

	// LabelClusterUUID stands on the gate app once the Elasticsearch cluster has formed; with it there nobody ever
	// bootstraps again.
	LabelClusterUUID = "esfleet.cluster-uuid"
	// LabelSuspended stands on the gate app while writes to the cluster are suspended: JSON {reason, by, until}.
	LabelSuspended = "esfleet.suspended"
	// LabelDetached stands on the gate app while clients are led away from nodes: their instance ids, with commas.
	LabelDetached = "esfleet.detached"
)
