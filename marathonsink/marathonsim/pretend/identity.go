package pretend

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

// An identity is what a task makes of itself before its Elasticsearch starts, as the boot script would: out of the
// bundle in its environment. A task without a bundle is a 7.17.28 with the roles that its component suggests.
type identity struct {
	name, cluster     string
	version           version
	master, data      bool
	declared          bool // the bundle says the roles
	roles             []string
	attributes        map[string]string
	plugins           []string
	minimumMasters    int
	settings          map[string]string // of elasticsearch.yml, flat
	http, transport   int
	volume            string
	diskBytes         int64
	component, digest string
}

// A version is of a distribution. OpenSearch counts as a later 7.10.
type version struct {
	opensearch          bool
	major, minor, patch int
}

func (v version) String() string { return fmt.Sprintf("%d.%d.%d", v.major, v.minor, v.patch) }

// atLeast compares with a version of Elasticsearch.
func (v version) atLeast(major, minor int) bool {
	if v.opensearch {
		v.major, v.minor = 7, 10
	}
	return v.major > major || v.major == major && v.minor >= minor
}

// olderThan compares two nodes of one cluster.
func (v version) olderThan(o version) bool {
	if v.opensearch != o.opensearch {
		return o.opensearch
	}
	return slices.Compare([]int{v.major, v.minor, v.patch}, []int{o.major, o.minor, o.patch}) < 0
}

// zen1 counts masters by minimum_master_nodes.
func (v version) zen1() bool { return !v.atLeast(7, 0) }

// inSync knows which copies hold every acknowledged document.
func (v version) inSync() bool { return v.atLeast(5, 0) }

func parseVersion(s, distribution string) version {
	v := version{major: 7, minor: 17, patch: 28}
	if n, _ := fmt.Sscanf(s, "%d.%d.%d", &v.major, &v.minor, &v.patch); n == 0 {
		return v
	}
	v.opensearch = distribution == "opensearch"
	return v
}

func identify(t marathonsim.Task) identity {
	files := unpack(t.Env)
	facts := shellWords(files["facts.sh"])
	component := t.Labels[marathon.LabelComponent]
	id := identity{
		component: component, digest: t.Env["ESFLEET_BUNDLE_SHA256"],
		version:  parseVersion(facts["version"], facts["distribution"]),
		cluster:  t.Labels[marathon.LabelGroup] + "-" + t.Labels[marathon.LabelCluster],
		settings: flatYAML(files["config/elasticsearch.yml"]),
		data:     component == "data", master: component == "master",
	}
	if own, ok := files["config/hosts/"+t.Host+".yml"]; ok {
		id.settings = flatYAML(own)
	}
	if name := id.settings["cluster.name"]; name != "" {
		id.cluster = name
	}
	id.minimumMasters, _ = strconv.Atoi(id.settings["discovery.zen.minimum_master_nodes"])
	for line := range strings.Lines(string(files["plugins.txt"])) {
		if f := strings.Fields(line); len(f) > 0 {
			id.plugins = append(id.plugins, f[0])
		}
	}
	slices.Sort(id.plugins)
	id.name = nodeName(t, facts)
	id.ports(t)
	id.readRoles()
	id.attributes = map[string]string{"esfleet_component": component, "esfleet_instance": instanceOf(t)}
	if id.digest != "" {
		id.attributes["esfleet_bundle"] = id.digest
	}
	for k, v := range id.settings {
		if key, ok := strings.CutPrefix(k, "node.attr."); ok {
			id.attributes[key] = v
		}
	}
	id.diskBytes = 100 << 30
	if len(t.Volumes) > 0 {
		id.volume, id.diskBytes = t.Volumes[0].PersistenceID, int64(t.Volumes[0].Size)<<20
	}
	return id
}

// nodeName is made as the boot script makes it: the component, its generation from the second on, the host, and where
// two nodes may share a host a piece of the instance.
func nodeName(t marathonsim.Task, facts map[string]string) string {
	first := t.Labels[marathon.LabelComponent]
	if c := facts["component"]; c != "" {
		first = c
	}
	if p := facts["node_prefix"]; p != "" {
		first = p
	} else if g := facts["generation"]; g != "" && g != "1" {
		first += "-g" + g
	}
	name := first + "-" + t.Host
	if u, ok := facts["unique"]; !ok || u != "" {
		return name
	}
	id := instanceOf(t)
	return name + "-" + id[:min(8, len(id))]
}

var uuid = regexp.MustCompile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

// instanceOf is what stays the same while Marathon restarts an instance: the last uuid of the task's id.
func instanceOf(t marathonsim.Task) string {
	all := uuid.FindAllString(string(t.ID), -1)
	if len(all) == 0 {
		return string(t.ID)
	}
	return all[len(all)-1]
}

func (id *identity) ports(t marathonsim.Task) {
	for i, name := range t.PortNames {
		switch name {
		case "http":
			id.http = t.Ports[i]
		case "transport":
			id.transport = t.Ports[i]
		}
	}
	if id.http == 0 && len(t.Ports) > 0 {
		id.http = t.Ports[0]
	}
	if id.transport == 0 {
		id.transport = 9300
		if len(t.Ports) > 1 {
			id.transport = t.Ports[1]
		}
	}
}

// readRoles takes them from the settings of whichever kind. Without any, a component says what it is, and the data
// nodes of a cluster without masters are its masters.
func (id *identity) readRoles() {
	if list, ok := id.settings["node.roles"]; ok {
		id.declared = true
		_ = json.Unmarshal([]byte(list), &id.roles) // what does not parse is no role
		id.master = slices.Contains(id.roles, "master") || slices.Contains(id.roles, "cluster_manager")
		id.data = slices.Contains(id.roles, "data")
	}
	for key, role := range map[string]*bool{"node.master": &id.master, "node.data": &id.data} {
		if v, ok := id.settings[key]; ok {
			id.declared, *role = true, v == "true"
		}
	}
}

// listRoles is what the node tells of itself.
func (id *identity) listRoles() []string {
	if id.roles != nil {
		out := slices.Clone(id.roles)
		for i, r := range out {
			if r == "master" && id.version.opensearch && id.version.major >= 2 {
				out[i] = "cluster_manager"
			}
		}
		slices.Sort(out)
		return out
	}
	out := []string{}
	if id.data {
		out = append(out, "data")
	}
	if id.settings["node.ingest"] == "true" || id.component == "ingest" {
		out = append(out, "ingest")
	}
	if id.master {
		out = append(out, "master")
	}
	return out
}

// unpack reads the bundle of an environment: base64 of a tar.gz in numbered pieces. What cannot be read is an empty
// bundle; a real node would not start, which is another test's business.
func unpack(env map[string]string) map[string][]byte {
	var text strings.Builder
	for i := 0; ; i++ {
		piece, ok := env["ESFLEET_BUNDLE_"+strconv.Itoa(i)]
		if !ok {
			break
		}
		text.WriteString(piece)
	}
	out := map[string][]byte{}
	packed, err := base64.StdEncoding.DecodeString(text.String())
	if err != nil || len(packed) == 0 {
		return out
	}
	zipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return out
	}
	archive := tar.NewReader(io.LimitReader(zipped, 32<<20))
	for {
		h, err := archive.Next()
		if err != nil {
			return out
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return out
		}
		out[h.Name] = content
	}
}

// shellWords reads lines of the form name='value'.
func shellWords(b []byte) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(string(b)) {
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if ok {
			out[name] = strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(value, "'"), "'"), `'\''`, "'")
		}
	}
	return out
}

// flatYAML reads what render writes: one flat key a line, its value in JSON.
func flatYAML(b []byte) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(string(b)) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}
		var text string
		if json.Unmarshal([]byte(value), &text) == nil {
			value = text
		}
		out[key] = value
	}
	return out
}

// name22 is an id as Elasticsearch makes them: 22 characters, here out of what it belongs to.
func name22(seed uint64, parts ...any) string {
	h := sha256.Sum256([]byte(fmt.Sprint(append([]any{seed}, parts...)...)))
	return base64.RawURLEncoding.EncodeToString(h[:16])
}
