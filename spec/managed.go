package spec

import (
	"regexp"
	"slices"
	"strings"
)

// A managed setting is one that esfleet writes itself. A key matches if it is equal to name, or below it where name ends in
// a dot or a star.
type managed struct{ name, why, fix string }

const dropIt = "delete it"

var managedSettings = []managed{
	{"cluster.name", "is the cluster's path in git", dropIt},
	{"node.name", "is made for each node, so that a node can be told from its neighbours after a restart", dropIt},
	{"node.roles", "follows from the sections of cluster.yaml", "write master:, data:, ingest: or coordinating: there"},
	{"node.master", "follows from the sections of cluster.yaml", "write master: there for masters of their own"},
	{"node.data", "follows from the sections of cluster.yaml", "write data: or master: there"},
	{"node.ingest", "follows from the sections of cluster.yaml", "write ingest: there"},
	{"node.client", "follows from the sections of cluster.yaml", "write coordinating: there"},
	{"node.voting_only", "follows from the sections of cluster.yaml", "write master: there"},
	{"node.ml", "follows from the sections of cluster.yaml", dropIt},
	{"node.transform", "follows from the sections of cluster.yaml", dropIt},
	{"node.remote_cluster_client", "follows from the sections of cluster.yaml", dropIt},
	{"node.esfleet*", "is how a node tells what it runs", dropIt},
	{"node.attr.esfleet*", "is how a node tells what it runs", dropIt},
	{"node.max_local_storage_nodes", "would let two nodes share a volume", dropIt},
	{"discovery.", "is how nodes find the masters, which esfleet keeps current", "write discovery: in cluster.yaml"},
	{"cluster.initial_master_nodes", "may be set in a cluster's very first minute only; set later it can split the cluster", dropIt},
	{"cluster.initial_cluster_manager_nodes", "may be set in a cluster's very first minute only; set later it can split the cluster", dropIt},
	{"cluster.routing.allocation.enable", "is switched by esfleet while a node restarts; a second writer would leave it off", dropIt},
	{"cluster.routing.allocation.exclude.", "is how esfleet empties a node before it goes", dropIt},
	{"network.", "is the agent's address, known only when the node starts", dropIt},
	{"http.port", "is the port that Mesos gave to the task", "write ports: {http: …} in cluster.yaml for a fixed one"},
	{"http.host", "is the agent's address, known only when the node starts", dropIt},
	{"http.bind_host", "is the agent's address, known only when the node starts", dropIt},
	{"http.publish_host", "is the agent's address, known only when the node starts", dropIt},
	{"http.publish_port", "is the port that Mesos gave to the task", "write ports: {http: …} in cluster.yaml for a fixed one"},
	{"transport.port", "is the port that Mesos gave to the task", "write ports: {transport: …} in cluster.yaml for a fixed one"},
	{"transport.tcp.port", "is the port that Mesos gave to the task", "write ports: {transport: …} in cluster.yaml for a fixed one"},
	{"transport.publish_port", "is the port that Mesos gave to the task", "write ports: {transport: …} in cluster.yaml for a fixed one"},
	{"transport.host", "is the agent's address, known only when the node starts", dropIt},
	{"transport.bind_host", "is the agent's address, known only when the node starts", dropIt},
	{"transport.publish_host", "is the agent's address, known only when the node starts", dropIt},
	{"transport.profiles.", "would open ports that Mesos did not give to the task", dropIt},
	{"path.data", "is the persistent volume; elsewhere the documents would be gone with the task", dropIt},
	{"path.logs", "is the task's sandbox, where Mesos shows and rotates it", dropIt},
	{"path.conf", "is the task's sandbox", dropIt},
	{"path.home", "is the distribution's folder", "write elasticsearch: {home: …} in cluster.yaml"},
	{"path.plugins", "is filled by esfleet", "write plugins: in cluster.yaml"},
	{"gateway.expected_nodes", "follows from the replicas in cluster.yaml", dropIt},
	{"gateway.expected_master_nodes", "follows from the replicas in cluster.yaml", dropIt},
	{"gateway.expected_data_nodes", "follows from the replicas in cluster.yaml", dropIt},
	{"gateway.recover_after_nodes", "follows from the replicas in cluster.yaml", dropIt},
	{"gateway.recover_after_master_nodes", "follows from the replicas in cluster.yaml", dropIt},
	{"gateway.recover_after_data_nodes", "follows from the replicas in cluster.yaml", dropIt},
	{"index.number_of_replicas", "is one of the platform's reliability rules", "write indices: {replicas: …} in cluster.yaml"},
	{"index.routing.allocation.total_shards_per_node", "is one of the platform's reliability rules", "write indices: {totalShardsPerNode: …} in cluster.yaml"},
	{"index.unassigned.node_left.delayed_timeout", "is one of the platform's reliability rules", "write indices: {delay: …} in cluster.yaml"},
}

func (m managed) matches(key string) bool {
	switch {
	case strings.HasSuffix(m.name, "."):
		return strings.HasPrefix(key, m.name)
	case strings.HasSuffix(m.name, "*"):
		return strings.HasPrefix(key, m.name[:len(m.name)-1])
	}
	return key == m.name || strings.HasPrefix(key, m.name+".")
}

// managedSetting says why a setting is not the user's to write; empty: it is.
func managedSetting(key string) (why, fix string) {
	for _, m := range managedSettings {
		if m.matches(key) {
			return "is managed by esfleet: it " + m.why, m.fix
		}
	}
	if secretSetting.MatchString(key) {
		return "looks like a secret, which everybody who reads this repository or asks the node would have", "put it into the node's keystore in pre-run.sh, from a file that the agent holds"
	}
	return "", ""
}

var secretSetting = regexp.MustCompile(`(?i)(^|[._-])(password|passwd|passphrase|secret|secret_key|private_key|access_key|api_key|token|credentials?)$`)

// nodeScoped are the index settings that a node of any version takes as a default for its indices.
var nodeScoped = []string{"index.codec", "index.store.type"}

// checkSettings is for what depends on the version, or on two keys at once.
func (b *builder) checkSettings(flat map[string]any, origin string) {
	e := b.c.Elasticsearch
	strict := e.Version.Major >= 5 || e.Distribution == OpenSearchDist
	for key := range flat {
		at := b.c.OriginOf(origin + "." + key)
		if why, _ := managedSetting(key); why != "" {
			continue // reported with its document
		}
		if strict && strings.HasPrefix(key, "index.") && !slices.Contains(nodeScoped, key) {
			b.problem(at, key, "is an index setting, with which a node of this version refuses to start", "write the platform's rules under indices: in cluster.yaml, and all else in index templates")
		}
		for i := strings.LastIndexByte(key, '.'); i > 0; i = strings.LastIndexByte(key[:i], '.') {
			if _, both := flat[key[:i]]; both {
				b.problem(at, key, "stands beside "+key[:i]+", which has a value of its own", "keep one of them")
			}
		}
	}
}

// checkOwnSettings is for the cluster's elasticsearch.yml.
func (b *builder) checkOwnSettings(root section) {
	if root.usable("elasticsearch") {
		b.checkSettings(b.c.Settings, "settings")
	}
}

// ownEnv are variables that esfleet, Marathon or Mesos set; the fix says where the value comes from.
var ownEnv = map[string]string{
	"ES_JAVA_OPTS": "heap: sets the heap; other options of Java go into files/jvm.options.d/", "OPENSEARCH_JAVA_OPTS": "heap: sets the heap; other options of Java go into files/jvm.options.d/",
	"ES_HEAP_SIZE": "write heap:", "ES_MIN_MEM": "write heap:", "ES_MAX_MEM": "write heap:",
	"ES_PATH_CONF": dropIt, "OPENSEARCH_PATH_CONF": dropIt, "ES_HOME": "write elasticsearch: {home: …}", "OPENSEARCH_HOME": "write elasticsearch: {home: …}",
	"JAVA_HOME": "write elasticsearch: {javaHome: …}", "ES_JAVA_HOME": "write elasticsearch: {javaHome: …}", "OPENSEARCH_JAVA_HOME": "write elasticsearch: {javaHome: …}",
	"HOST": dropIt, "PORTS": dropIt, "TASK_HOST": dropIt,
}

var (
	ownEnvPrefixes  = []string{"ESFLEET_", "MARATHON_", "MESOS_"}
	ownEnvPorts     = regexp.MustCompile(`^PORT(_|[0-9])`)
	secretEnv       = regexp.MustCompile(`(?i)PASSWORD|PASSWD|SECRET|TOKEN|PRIVATE_?KEY|API_?KEY|ACCESS_?KEY|CREDENTIAL`)
	secretElsewhere = regexp.MustCompile(`(?i)_(FILE|PATH|DIR|URL)$`)
)

// checkEnv refuses what esfleet sets itself, and secrets: whoever can read git or Marathon's API can read them.
func (b *builder) checkEnv(s section) {
	for _, p := range s.view.under("env") {
		for _, e := range p.node.entries {
			if e.value.kind != stringNode {
				continue
			}
			at, path := e.pos(p.file), s.path+".env."+e.key
			fix, own := ownEnv[e.key]
			if slices.ContainsFunc(ownEnvPrefixes, func(pre string) bool { return strings.HasPrefix(e.key, pre) }) || ownEnvPorts.MatchString(e.key) {
				own, fix = true, dropIt
			}
			switch {
			case own:
				b.problem(at, path, "is set by esfleet or Marathon", fix)
			case secretEnv.MatchString(e.key) && !secretElsewhere.MatchString(e.key) && e.value.text != "":
				b.problem(at, path, "looks like a secret, which everybody who reads this repository or Marathon's API would have",
					"keep it in a file on the agents and write its path: "+e.key+"_FILE: /path")
			case len(e.key)+len(e.value.text)+2 > 128<<10:
				b.problem(at, path, "is longer than 128 KiB with its name, and Linux starts no process with such a variable", "put it into files/")
			}
		}
	}
}
