package spec

import "slices"

// Patterns. A size or a duration has exactly one way to be written, so that equal meaning is equal text.
const (
	namePattern     = `^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`
	sizePattern     = `^[1-9][0-9]{0,5}(\.[0-9]{1,3})?(KiB|MiB|GiB|TiB)$`
	durationPattern = `^(0s|([1-9][0-9]{0,5}(ms|s|m|h))+)$`
	instancePattern = `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`
	envPattern      = `^[A-Za-z_][A-Za-z0-9_]*$`
)

var (
	name     = text(namePattern, "a name of at most 40 lower-case letters, digits and inner hyphens")
	size     = text(sizePattern, `a size with a binary unit, like 512MiB, 2GiB or 1TiB`)
	duration = text(durationPattern, `a duration with a unit, like 30s, 5m or 1h30m`)
	anyText  = text(`^[^\x00-\x1f\x7f]+$`, "text on one line")
	command  = text(`^[^\x00]+$`, "a command line")
	hostPort = text(`^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\]):[0-9]{1,5}$`, "host:port")
	httpURL  = text(`^https?://[A-Za-z0-9\[][^\s@?#]*$`, "an http:// or https:// address without user, password, query or fragment").secret()
	image    = text(`^[A-Za-z0-9][A-Za-z0-9._/:@-]*$`, "a container image, like registry.example/es:7.17.28")
	absPath  = text(`^/([A-Za-z0-9._+-]+/?)+$`, "an absolute path")
	fixPort  = &shape{kind: intShape, max: 65535, want: "a port from 1 to 65535, or 0 to let Mesos choose"}
	port     = whole(1, 65535)
	cpus     = &shape{kind: numberShape, positive: true, max: 1024}
	replicas = whole(1, 1000)
	env      = dictOf(&shape{kind: textShape, pattern: `^[^\x00]*$`, re: text(`^[^\x00]*$`, "").re, want: "text without NUL", maxLen: 128<<10 - 1},
		envPattern, "a name of letters, digits and _, not beginning with a digit")
)

const (
	envDoc      = "Environment of the tasks. Names that esfleet sets itself (ESFLEET_*, ES_JAVA_OPTS, ES_HEAP_SIZE …) and literal secrets are refused."
	settingsDoc = "Settings for elasticsearch.yml that hold here only; they win over the cluster's elasticsearch.yml. Keys that esfleet manages are refused."
	replicasDoc = "How many tasks run."
	cpusDoc     = "CPUs of one task, as Mesos counts them."
	memoryDoc   = "Memory of one task, with unit."
	imageDoc    = "Container image. Needed with the docker containerizer."
	commandDoc  = "Command line that replaces the built-in one."
)

var clusterFields = []field{
	{name: "purpose", shape: oneOf(string(Online), string(Offline), string(Standby)), def: "online",
		doc: "What the cluster is for: online serves users, offline is for batch work, standby takes over from another one. Alert thresholds differ by it."},
	{name: "state", shape: oneOf(string(Active), string(Retired)), def: "active",
		doc: "retired stops the cluster's apps in reverse order; its volumes are kept unless retirement says otherwise. Deleting the folder instead deletes nothing: it is held and reported."},
	{name: "retirement", shape: object(
		field{name: "grace", shape: duration, def: "168h", doc: "How long a retired cluster stays stopped, its volumes untouched, before they may be destroyed."},
		field{name: "destroy", shape: &shape{kind: boolShape}, def: "false", doc: "true destroys the volumes, and every document in them, once grace is over. Only together with state: retired, and only in the cluster.yaml of that cluster."},
	), doc: "What becomes of the volumes of a retired cluster. Without destroy they are kept for ever."},
	{name: "restart", shape: text(`^[A-Za-z0-9]([A-Za-z0-9._:-]*[A-Za-z0-9])?$`, `one word of letters, digits and inner . _ : -, like "2026-11-22"`).atMost(64),
		doc: "A word of your choice, like a date. Another word restarts every Elasticsearch node once, one at a time, and changes nothing else. Taking the word away restarts them too."},
	{name: "suspend", shape: object(
		field{name: "reason", shape: anyText, required: true, doc: "Why nothing may be changed; shown wherever the cluster is."},
		field{name: "by", shape: anyText, doc: "Who suspended it."},
		field{name: "until", shape: text(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$`, `a time like "2030-01-31T18:00:00Z"`), doc: "When it ends by itself (RFC 3339). Without it: when these lines are deleted."},
	), doc: "Stops every write to the cluster. It is still watched and shown."},
	{name: "drift", shape: oneOf(string(Enforce), string(Report)), def: "enforce",
		doc: "What happens when somebody changes the running apps by hand: enforce puts git's state back, report only tells."},
	{name: "elasticsearch", shape: object(
		field{name: "distribution", shape: oneOf(string(ElasticsearchDist), string(OpenSearchDist)), def: "elasticsearch", doc: "Elasticsearch or its fork OpenSearch."},
		field{name: "version", shape: text(`^(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})$`, `a full version in quotes, like "7.17.28"`), doc: `Full version, in quotes: "7.17.28". Elasticsearch 2, 5, 6, 7, 8 and OpenSearch 1, 2 are supported.`},
		field{name: "image", shape: image, doc: imageDoc + " Without one (containerizer mesos) the distribution lies on the agents, see home."},
		field{name: "home", shape: absPath, doc: "Where the distribution is unpacked, in the image or on the agents. Default: /usr/share/elasticsearch or /usr/share/opensearch."},
		field{name: "javaHome", shape: absPath, doc: "JAVA_HOME of the nodes. Without it the distribution finds its own Java."},
		field{name: "user", shape: text(`^[a-z_][a-z0-9_-]{0,31}$`, "a user name"), def: "elasticsearch", doc: "User that runs the node; never root, which Elasticsearch refuses."},
	), doc: "What runs on the nodes."},
	{name: "containerizer", shape: oneOf(string(Docker), string(Mesos)), def: "docker", doc: "How Mesos runs the tasks."},
	{name: "master", shape: nodesShape(Master), doc: "Dedicated masters. Without this section every data node is master-eligible as well."},
	{name: "data", shape: nodesShape(Data), doc: "The nodes that hold the documents, each with a persistent volume."},
	{name: "ingest", shape: nodesShape(Ingest), doc: "Nodes that only run ingest pipelines. They have no volume."},
	{name: "coordinating", shape: nodesShape(Coordinating), doc: "Nodes that only route requests and merge results. They have no volume."},
	{name: "discovery", shape: object(
		field{name: "mode", shape: oneOf(string(HAProxy), string(Bamboo), string(Static)), def: "haproxy", doc: "haproxy: an app of this cluster that leads to its masters, kept current by esfleet. bamboo: the same, done by Bamboo. static: an address that somebody else keeps."},
		field{name: "address", shape: hostPort, doc: "host:port of the masters; with mode static only."},
		field{name: "port", shape: port, def: "9310", doc: "Fixed front port of the discovery app."},
		field{name: "statsPort", shape: fixPort, def: "0", doc: "Port of its statistics page; 0 lets Mesos choose."},
		field{name: "clientPort", shape: fixPort, def: "0", doc: "Fixed port by which clients reach the cluster: it leads to the HTTP ports of the coordinating nodes if there are any, else of the data nodes, and a data node is taken out of it before esfleet stops it. Needs mode haproxy and an image that holds esfleet. 0: clients find the nodes in their own way."},
		field{name: "drain", shape: duration, def: "10s", doc: "How long the requests that a node is answering may take to end, once clientPort leads new ones elsewhere and before the node is stopped."},
		field{name: "replicas", shape: replicas, def: "1", doc: replicasDoc + " It is needed only to find the cluster; nodes that have found it stay."},
		field{name: "cpus", shape: cpus, def: "0.1", doc: cpusDoc},
		field{name: "memory", shape: size, def: "128MiB", doc: memoryDoc},
		field{name: "image", shape: image, doc: imageDoc},
		field{name: "command", shape: command, doc: commandDoc},
		field{name: "env", shape: env, doc: envDoc},
	), doc: "How nodes find the masters: one TCP address."},
	{name: "exporter", shape: object(
		enabledField,
		field{name: "graphite", shape: hostPort, doc: "host:port of Graphite's plaintext listener."},
		field{name: "prefix", shape: text(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`, "a metric prefix, like es.search.logs"), doc: "What every metric's name begins with. Default: es.<group>.<cluster>."},
		field{name: "interval", shape: duration, def: "30s", doc: "How often it measures."},
		field{name: "cpus", shape: cpus, def: "0.1", doc: cpusDoc},
		field{name: "memory", shape: size, def: "128MiB", doc: memoryDoc},
		field{name: "image", shape: image, doc: imageDoc},
		field{name: "command", shape: command, doc: commandDoc},
		field{name: "env", shape: env, doc: envDoc},
	), doc: "es2graphite: sends the cluster's metrics to Graphite. Absent without this section."},
	{name: "kibana", shape: object(
		enabledField,
		field{name: "image", shape: image, doc: imageDoc},
		field{name: "home", shape: absPath, def: "/usr/share/kibana", doc: "Where Kibana is unpacked."},
		field{name: "replicas", shape: replicas, def: "1", doc: replicasDoc},
		field{name: "port", shape: fixPort, def: "0", doc: "Fixed host port; 0 lets Mesos choose."},
		field{name: "cpus", shape: cpus, def: "0.5", doc: cpusDoc},
		field{name: "memory", shape: size, def: "1GiB", doc: memoryDoc},
		field{name: "command", shape: command, doc: commandDoc},
		field{name: "env", shape: env, doc: envDoc},
	), doc: "Kibana, or OpenSearch Dashboards. Absent without this section."},
	{name: "indices", shape: object(
		field{name: "replicas", shape: whole(1, 20), def: "1", doc: "Copies of each shard beside the primary, for every index: at least 1, so that losing a node loses nothing."},
		field{name: "totalShardsPerNode", shape: whole(0, 10000), def: "0", doc: "How many shards of one index a node may hold; 0: no bound."},
		field{name: "delay", shape: duration, def: "5m", doc: "How long Elasticsearch waits for a node that left before it copies its shards anew: longer than a restart takes, at least 1m."},
	), doc: "The platform's reliability rules, applied to every index."},
	{name: "plugins", shape: listOf(&shape{kind: eitherShape, elem: pluginName, want: "a plugin's name, or {name, url, sha512}", fields: []field{
		{name: "name", shape: pluginName, required: true, doc: "The plugin's name as the node lists it."},
		{name: "url", shape: httpURL, doc: "Where its archive is fetched from, by https."},
		{name: "sha512", shape: text(`^[0-9a-f]{128}$`, "a SHA-512 checksum of 128 lower-case hex digits"), doc: "The archive's SHA-512; needed with url."},
	}}, 0), doc: "Plugins that every node has before it starts: a name for one of the distribution's own, or name, url and sha512."},
	{name: "overrides", shape: listOf(object(
		field{name: "hosts", shape: listOf(text(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`, "a host name"), 1), required: true, doc: "Host names of the agents."},
		field{name: "settings", shape: settings, required: true, doc: settingsDoc},
	), 0), doc: "Settings for the nodes on named agents only, like those with slower disks."},
	{name: "checks", shape: object(
		field{name: "interval", shape: duration, def: "10s", doc: "Time between two checks of a node."},
		field{name: "timeout", shape: duration, def: "5s", doc: "How long an answer may take."},
		field{name: "grace", shape: duration, def: "5m", doc: "How long a starting node may fail its checks."},
		field{name: "maxFailures", shape: whole(0, 10000), def: "0", doc: "After how many failed checks in a row Marathon kills the task. 0: never, since Marathon would not ask Elasticsearch first; esfleet reports the node instead."},
	), doc: "Health and readiness checks of the Elasticsearch nodes."},
	{name: "rollout", shape: object(
		field{name: "canary", shape: whole(0, 1000), def: "1", doc: "How many data nodes get a change first; fewer than there are. 0: none, and soak means nothing."},
		field{name: "soak", shape: duration, def: "0s", doc: "How long the canaries run before the others follow."},
		field{name: "pause", shape: &shape{kind: boolShape}, def: "false", doc: "true keeps the others waiting after the canaries, until the line is taken away. Needs a canary."},
		field{name: "hold", shape: duration, def: "24h", doc: "How long the volume of a node that left is kept, for the case that the change is taken back."},
		field{name: "snapshotWithin", shape: duration, def: "0s", doc: "A version is upgraded only if the cluster has a successful snapshot that is not older than this. 0s: none is asked for."},
	), doc: "How a change spreads over the nodes."},
	{name: "clusterSettings", shape: &shape{kind: settingsShape, scalars: true, refuse: movedSetting}, doc: "Persistent settings of the running cluster, as for PUT _cluster/settings, kept as they are written here; no node restarts. Dotted or nested keys; a list is one text with commas. Keys that esfleet moves itself are refused."},
}

// ownFields are a cluster's alone: what they name exists once, so they cannot be inherited.
var ownFields = []field{
	{name: "replace", shape: listOf(&shape{kind: eitherShape, elem: instanceID, want: "an instance id, or {instance, loseCopies}", fields: []field{
		{name: "instance", shape: instanceID, required: true, doc: "Marathon's id of the instance, as status shows it. It is never given twice: when that instance is gone the line has done its work, and can be deleted."},
		{name: "loseCopies", shape: &shape{kind: boolShape}, def: "false", doc: "true gives the node up although copies of shards may be lost that exist nowhere else, like those of a node whose host is gone for good."},
	}}, 0), doc: "Nodes to give up for blank ones elsewhere, by Marathon's instance id. Their data moves away first where that is possible."},
}

var (
	enabledField = field{name: "enabled", shape: &shape{kind: boolShape}, def: "true", doc: "false removes a section that the defaults brought in."}
	// instanceID is the part of Marathon's task ids that stays the same while an instance restarts.
	instanceID = text(instancePattern, "the uuid of a Marathon instance, like 1b9c6a5e-7f2d-11ee-8c3a-0242ac120002")
	pluginName = text(`^[a-z0-9][a-z0-9._-]{0,79}$`, "a plugin's name, like analysis-icu")
)

// nodesShape is the section of one component's nodes. Sections differ in their defaults, and in having a volume.
func nodesShape(c Component) *shape {
	def := map[Component]struct{ replicas, cpus, memory, disk string }{
		Master:       {"3", "0.5", "1GiB", "5GiB"},
		Data:         {"3", "1", "2GiB", ""},
		Ingest:       {"2", "0.5", "1GiB", ""},
		Coordinating: {"2", "0.5", "1GiB", ""},
	}[c]
	s := object(
		field{name: "replicas", shape: replicas, def: def.replicas, doc: "How many nodes run."},
		field{name: "cpus", shape: cpus, def: def.cpus, doc: cpusDoc},
		field{name: "memory", shape: size, def: def.memory, doc: "Memory of one node, with unit: heap, and what Lucene uses beside it."},
		field{name: "heap", shape: size, doc: "Java heap of one node, at most 31GiB and at most memory. Default: half of memory, at most 31GiB."},
	)
	if c != Data {
		s.fields = append([]field{enabledField}, s.fields...)
	}
	if c.Stateful() {
		s.fields = append(s.fields,
			field{name: "disk", shape: size, def: def.disk, doc: "Persistent volume of one node. It can't be changed later without moving the data to new nodes: see data.generation."},
			field{name: "diskType", shape: oneOf("root", "mount"), def: "root", doc: "root: on the agent's own disk. mount: a whole disk of its own."})
	}
	if c == Data {
		s.fields = append(s.fields, field{name: "generation", shape: whole(1, 99), def: "1",
			doc: "Raise it by one together with disk, diskType, cpus or memory, which Marathon never changes for nodes with volumes: new nodes are made beside the old ones, the data moves over, then the old ones go."})
	}
	s.fields = append(s.fields,
		field{name: "ports", shape: object(
			field{name: "http", shape: fixPort, def: "0", doc: "Host port of the HTTP API."},
			field{name: "transport", shape: fixPort, def: "0", doc: "Host port for the other nodes."},
		), doc: "Fixed host ports. Without them Mesos chooses."},
		field{name: "perHost", shape: whole(1, 20), def: "1", doc: "How many of these nodes may share a host. For data at most indices.replicas, so that losing a host loses no document."},
		field{name: "constraints", shape: listOf(listOf(anyText, 2), 0), doc: "Marathon constraints [field, OPERATOR, value], beside the one made of perHost. Example: [rack, GROUP_BY]."},
		field{name: "env", shape: env, doc: envDoc},
		field{name: "settings", shape: settings, doc: settingsDoc})
	return s
}

// header is what each document begins with.
func header(kind string) []field {
	return []field{
		{name: "apiVersion", shape: oneOf("esfleet/v1"), required: true, doc: "Always esfleet/v1."},
		{name: "kind", shape: oneOf(kind), required: true, doc: "Always " + kind + " in this file."},
	}
}

// inherited is what defaults may hold.
var inherited = &shape{kind: objectShape, fields: clusterFields, elsewhere: map[string]string{
	"replace": "write it in the cluster.yaml of the cluster whose node it names",
}}

var defaultsDoc = "Values for every cluster below, in the shape of a cluster.yaml. Mappings merge key by key; lists and single values replace."

// shapes by the document's kind.
var shapes = map[string]*shape{
	"Fleet": {kind: objectShape, doc: "fleet.yaml: what the whole pool shares.", fields: append(header("Fleet"),
		field{name: "name", shape: name, required: true, doc: "Name of the fleet. esfleet knows its own apps by it, so it never changes."},
		field{name: "marathons", required: true, doc: "The Marathons that run this fleet's groups, by name.", shape: dictOf(object(
			field{name: "url", shape: httpURL, doc: "Address, if there is one only."},
			field{name: "urls", shape: listOf(httpURL, 1), doc: "Addresses of the members of this one Marathon."},
			field{name: "nodeUrls", shape: listOf(httpURL, 1), doc: "The same Marathon as nodes reach it when they start; without it: url or urls."},
			field{name: "credentials", shape: text(`^(env:[A-Za-z_][A-Za-z0-9_]*|file:/.+)$`, "env:NAME or file:/path").secret(), doc: "Where the daemon finds user:password or a bearer token: env:NAME or file:/path. The secret itself never stands in git."},
		), namePattern, name.want)},
		field{name: "defaults", shape: inherited, doc: defaultsDoc},
		field{name: "guards", shape: object(
			field{name: "maxClusters", shape: whole(0, 1000000), def: "0", doc: "How many clusters one commit may change before it is held for an explicit word; 0: no bound."},
			field{name: "approve", shape: text(`^[0-9A-Za-z:._-]{1,200}$`, "the digest that the hold shows"), doc: "Approves one commit's content beyond the guards: the digest that the hold shows."},
		), doc: "Bounds on what one commit may do."},
	)},
	"Group": {kind: objectShape, doc: "group.yaml: a business line.", fields: append(header("Group"),
		field{name: "role", shape: text(`^[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}$`, "a Mesos role"), doc: "Mesos role that the group's tasks run under. Without it: Marathon's own."},
		field{name: "marathon", shape: name, doc: "The Marathon that runs the group, a name of fleet.yaml's marathons. May be left out if there is one only."},
		field{name: "owners", shape: listOf(anyText, 0), doc: "Who is told and asked about these clusters."},
		field{name: "quota", shape: object(
			field{name: "cpus", shape: cpus, doc: "CPUs of all its clusters together."},
			field{name: "memory", shape: size, doc: "Memory of all its clusters together."},
			field{name: "disk", shape: size, doc: "Volumes of all its clusters together."},
		), doc: "What the group's clusters may ask for together."},
		field{name: "defaults", shape: inherited, doc: defaultsDoc},
	)},
	"Cluster": {kind: objectShape, doc: "cluster.yaml: one cluster.", fields: slices.Concat(header("Cluster"), clusterFields, ownFields)},
}
