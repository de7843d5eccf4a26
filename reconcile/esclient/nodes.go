package esclient

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// A nodeInfo is what a node says of itself. Elasticsearch 2 tells roles by attributes, and only those that differ from the
// default: a node is both master-eligible and for data unless it says otherwise.
type nodeInfo struct {
	Name       string            `json:"name"`
	Host       string            `json:"host"`
	IP         string            `json:"ip"`
	Version    string            `json:"version"`
	Roles      *[]string         `json:"roles"`
	Attributes map[string]string `json:"attributes"`
	HTTP       struct {
		Publish string `json:"publish_address"`
	} `json:"http"`
	Plugins []struct {
		Name string `json:"name"`
	} `json:"plugins"`
}

type nodeStats struct {
	JVM struct {
		Uptime int64 `json:"uptime_in_millis"`
	} `json:"jvm"`
	FS struct {
		Total struct {
			Total     int64 `json:"total_in_bytes"`
			Available int64 `json:"available_in_bytes"`
		} `json:"total"`
	} `json:"fs"`
}

// nodeInfos and nodeStats give the nodes half of the call's time, so that one that hangs is missing in the answer instead
// of delaying it: the one who waits is then told which.
func (c *Client) nodeInfos(ctx context.Context, endpoint string) (map[string]nodeInfo, error) {
	const fields = "nodes.*.name,nodes.*.host,nodes.*.ip,nodes.*.version,nodes.*.roles,nodes.*.attributes," +
		"nodes.*.http.publish_address,nodes.*.plugins.name"
	var out struct {
		Nodes map[string]nodeInfo `json:"nodes"`
	}
	err := c.ask(ctx, question{endpoint: endpoint, path: "/_nodes/_all/http,plugins", max: large,
		query: values("timeout", millis(c.timeout/2), "filter_path", fields)}, &out)
	return out.Nodes, err
}

func (c *Client) nodeStats(ctx context.Context, endpoint string) (map[string]nodeStats, error) {
	const fields = "nodes.*.jvm.uptime_in_millis,nodes.*.fs.total.total_in_bytes,nodes.*.fs.total.available_in_bytes"
	var out struct {
		Nodes map[string]nodeStats `json:"nodes"`
	}
	err := c.ask(ctx, question{endpoint: endpoint, path: "/_nodes/stats/fs,jvm", max: large,
		query: values("timeout", millis(c.timeout/2), "filter_path", fields)}, &out)
	return out.Nodes, err
}

// nodes are the members of the cluster state, each with what it says of itself.
func (s *state) nodes(infos map[string]nodeInfo, stats map[string]nodeStats) ([]esgate.Node, error) {
	out := make([]esgate.Node, 0, len(s.Nodes))
	var silent []string
	for id, member := range s.Nodes {
		info, ok := infos[id]
		stat, told := stats[id]
		if !ok || !told || info.Name != member.Name {
			silent = append(silent, cmp.Or(member.Name, id))
			continue
		}
		n, err := info.node()
		if err != nil {
			return nil, fmt.Errorf("node %s: %w", member.Name, err)
		}
		n.ID, n.EphemeralID = id, member.Ephemeral
		n.Uptime = time.Duration(stat.JVM.Uptime) * time.Millisecond
		n.DiskTotal, n.DiskFree = max(stat.FS.Total.Total, 0), max(stat.FS.Total.Available, 0)
		out = append(out, n)
	}
	if len(silent) > 0 {
		slices.Sort(silent)
		return nil, fmt.Errorf("%d of %d members do not answer: %s", len(silent), len(s.Nodes), strings.Join(silent, ", "))
	}
	slices.SortFunc(out, func(a, b esgate.Node) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(out); i++ {
		if out[i].Name == out[i-1].Name {
			return nil, fmt.Errorf("two members are named %s", out[i].Name)
		}
	}
	return out, nil
}

func (i *nodeInfo) node() (esgate.Node, error) {
	v, err := version(i.Version)
	if err != nil {
		return esgate.Node{}, err
	}
	n := esgate.Node{Name: i.Name, Host: cmp.Or(i.Host, i.IP), Version: v, Attributes: i.Attributes}
	if a := address(i.HTTP.Publish); a != "" {
		n.HTTP = "http://" + a
	}
	for _, p := range i.Plugins {
		n.Plugins = append(n.Plugins, p.Name)
	}
	slices.Sort(n.Plugins)
	n.MasterEligible, n.Data = i.roles()
	return n, nil
}

func (i *nodeInfo) roles() (master, data bool) {
	if i.Roles == nil {
		client := i.Attributes["client"] == "true"
		return !client && i.Attributes["master"] != "false", !client && i.Attributes["data"] != "false"
	}
	for _, r := range *i.Roles {
		master = master || r == "master" || r == "cluster_manager"
		// data, and the tiers data_hot, data_content …
		data = data || r == "data" || strings.HasPrefix(r, "data_")
	}
	return master, data
}

// address takes the host:port out of "127.0.0.1:9200" and "es1.example/10.0.0.1:9200".
func address(s string) string {
	s = s[strings.LastIndex(s, "/")+1:]
	if _, _, err := net.SplitHostPort(s); err != nil {
		return ""
	}
	return s
}

// version reads "7.17.28"; a suffix as in 8.0.0-rc1 is left out.
func version(s string) (spec.Version, error) {
	number, _, _ := strings.Cut(s, "-")
	parts := strings.Split(number, ".")
	var n [3]int
	if len(parts) != len(n) {
		return spec.Version{}, fmt.Errorf("version %q is none", s)
	}
	for i, p := range parts {
		v, err := strconv.Atoi(p)
		if err != nil || v < 0 {
			return spec.Version{}, fmt.Errorf("version %q is none", s)
		}
		n[i] = v
	}
	return spec.Version{Major: n[0], Minor: n[1], Patch: n[2]}, nil
}
