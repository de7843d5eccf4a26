package e2e_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}

// get reads JSON; an error says what was answered.
func get(url string, into any) error {
	res, err := client.Get(url)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("GET %s: %w", url, err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %.300s", url, res.Status, body)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("GET %s: %w: %.300s", url, err, body)
	}
	return nil
}

// An app is what Marathon says of one.
type app struct {
	ID           string            `json:"id"`
	Version      string            `json:"version"`
	Instances    int               `json:"instances"`
	TasksHealthy int               `json:"tasksHealthy"`
	Labels       map[string]string `json:"labels"`
	Env          map[string]string `json:"env"`
	Tasks        []task            `json:"tasks"`
	Deployments  []struct {
		ID string `json:"id"`
	} `json:"deployments"`
	LastFailure *struct {
		Message, TaskID, Host, Timestamp string
	} `json:"lastTaskFailure"`
}

type task struct {
	ID        string `json:"id"`
	Host      string `json:"host"`
	Ports     []int  `json:"ports"`
	State     string `json:"state"`
	StartedAt string `json:"startedAt"`
}

func (a *app) url() string { return fmt.Sprintf("http://%s:%d", a.Tasks[0].Host, a.Tasks[0].Ports[0]) }

// runs says which process runs in each instance, and since when.
func (a *app) runs() []string {
	var out []string
	for _, t := range a.Tasks {
		out = append(out, t.ID+" since "+t.StartedAt)
	}
	slices.Sort(out)
	return out
}

// A marathon is where the story's apps live.
type marathon struct {
	t   *testing.T
	url string
}

func (m marathon) apps() map[string]*app {
	m.t.Helper()
	var list struct{ Apps []*app }
	if err := get(m.url+"/v2/apps?embed=apps.tasks&embed=apps.deployments&embed=apps.lastTaskFailure", &list); err != nil {
		m.t.Fatal(err)
	}
	out := map[string]*app{}
	for _, a := range list.Apps {
		out[a.ID] = a
	}
	return out
}

// versions are all that Marathon has ever known of an app, oldest first: each write of it makes one.
func (m marathon) versions(id string) []string {
	m.t.Helper()
	var list struct{ Versions []string }
	if err := get(m.url+"/v2/apps"+id+"/versions", &list); err != nil {
		m.t.Fatal(err)
	}
	slices.Sort(list.Versions)
	return list.Versions
}

// standing is everything that a write or a restart would change.
func (m marathon) standing() map[string]string {
	m.t.Helper()
	out := map[string]string{}
	for id, a := range m.apps() {
		out[id] = fmt.Sprintf("version %s, %d instances: %s", a.Version, a.Instances, strings.Join(a.runs(), ", "))
	}
	return out
}

// differences names the apps that are not the same in both.
func differences(before, after map[string]string) []string {
	var out []string
	for id := range before {
		if before[id] != after[id] {
			out = append(out, fmt.Sprintf("%s\n  was %s\n  is  %s", id, before[id], after[id]))
		}
	}
	for id := range after {
		if _, ok := before[id]; !ok {
			out = append(out, id+" is new")
		}
	}
	slices.Sort(out)
	return out
}

// A node is what an Elasticsearch node says of itself.
type node struct {
	Name       string
	Host       string
	Version    string
	Attributes map[string]string
	Settings   map[string]any
	Plugins    []struct{ Name string }
}

// nodesOf asks one node for all of its cluster.
func nodesOf(t *testing.T, url string) []node {
	t.Helper()
	var all struct{ Nodes map[string]node }
	if err := get(url+"/_nodes?flat_settings=true", &all); err != nil {
		t.Fatal(err)
	}
	var out []node
	for _, n := range all.Nodes {
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b node) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// health is the cluster's colour and uuid.
func health(t *testing.T, url string) (colour, uuid string) {
	t.Helper()
	var h struct{ Status string }
	var s struct {
		Metadata struct {
			UUID string `json:"cluster_uuid"`
		}
	}
	if err := get(url+"/_cluster/health", &h); err != nil {
		t.Fatal(err)
	}
	if err := get(url+"/_cluster/state/metadata?filter_path=metadata.cluster_uuid", &s); err != nil {
		t.Fatal(err)
	}
	return h.Status, s.Metadata.UUID
}

// A graphite takes metrics as carbon does, and remembers the last value of each.
type graphite struct {
	address string
	mu      sync.Mutex
	last    map[string]string
}

func newGraphite(t *testing.T) *graphite {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	g := &graphite{address: l.Addr().String(), last: map[string]string{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			go g.read(c)
		}
	}()
	return g
}

func (g *graphite) read(c net.Conn) {
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	for s := bufio.NewScanner(c); s.Scan(); {
		if f := strings.Fields(s.Text()); len(f) == 3 {
			g.mu.Lock()
			g.last[f[0]] = f[1]
			g.mu.Unlock()
		}
	}
}

func (g *graphite) metrics() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []string
	for k, v := range g.last {
		out = append(out, k+" "+v)
	}
	slices.Sort(out)
	return out
}
