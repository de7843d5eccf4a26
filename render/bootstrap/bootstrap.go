// Package bootstrap holds the scripts that run inside a task before its program does: POSIX sh, for any image.
//
// In: nothing but the facts that render decides. Out: the files of a bundle, and the one-line command that unpacks it
// from the environment, checks its digest and runs it. The scripts are tested by running them.
package bootstrap

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/render/bundle"
)

//go:embed *.sh *.awk
var scripts embed.FS

// Elasticsearch is what starts a node.
func Elasticsearch() []bundle.File {
	return append(common(), script("elasticsearch.sh", "boot.sh"), script("node.sh", "node.sh"))
}

// Discovery is what runs HAProxy and keeps its backend current.
func Discovery() []bundle.File {
	template := bundle.File{Path: "haproxy.cfg.tmpl", Mode: bundle.ModeFile, Content: []byte(RingTemplate)}
	return append(common(), script("haproxy.sh", "boot.sh"), template)
}

// DiscoveryWithClients is what runs HAProxy where clients have a front as well.
func DiscoveryWithClients() []bundle.File {
	return append(common(), script("haproxy-clients.sh", "boot.sh"))
}

// Exporter is what sends a cluster's numbers to Graphite.
func Exporter() []bundle.File { return append(common(), script("exporter.sh", "boot.sh")) }

// Kibana is what starts Kibana.
func Kibana() []bundle.File { return append(common(), script("kibana.sh", "boot.sh")) }

func common() []bundle.File {
	return []bundle.File{script("common.sh", "common.sh"), script("json.awk", "json.awk")}
}

func script(from, to string) bundle.File {
	content, err := scripts.ReadFile(from)
	if err != nil {
		panic(err) // embedded above
	}
	return bundle.File{Path: to, Mode: bundle.ModeFile, Content: content}
}

// Facts is the file of shell variables that every script reads first. Names are lower-case and carry no secrets.
func Facts(facts map[string]string) bundle.File {
	var sb strings.Builder
	for _, k := range slices.Sorted(maps.Keys(facts)) {
		fmt.Fprintf(&sb, "%s=%s\n", k, quote(facts[k]))
	}
	return bundle.File{Path: "facts.sh", Mode: bundle.ModeFile, Content: []byte(sb.String())}
}

// quote makes one word of s for a POSIX shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Command is the task's command line: it unpacks b from the environment into .esfleet under the sandbox and becomes its
// boot.sh. It compares the digest before anything of the bundle runs. With the Docker containerizer the working
// directory is the image's, so it goes to the sandbox first, where the persistent volume is.
func Command(b *bundle.Bundle) string {
	var pieces strings.Builder
	for i := range bundle.Chunks(b) {
		fmt.Fprintf(&pieces, "$%s%d", bundle.EnvPrefix, i)
	}
	return fmt.Sprintf(`cd "${MESOS_SANDBOX:-.}" 2>/dev/null; d=.esfleet; `+
		`for t in base64 sha256sum gzip tar; do command -v $t >/dev/null || { echo "esfleet: $t is missing on this host or in this image; install it" >&2; exit 69; }; done; `+
		`rm -rf $d; mkdir $d && printf %%s "%s" | base64 -d >$d/bundle.tgz && printf '%%s  %%s\n' "$%s" $d/bundle.tgz | sha256sum -c - >/dev/null 2>&1 `+
		`|| { echo "esfleet: the bundle in this app's environment does not have the digest $%s that the same environment states; somebody changed it by hand" >&2; exit 65; }; `+
		`tar -xzf $d/bundle.tgz -C $d && exec sh $d/boot.sh`, pieces.String(), bundle.EnvDigest, bundle.EnvDigest)
}
