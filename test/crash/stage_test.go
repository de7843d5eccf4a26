package crash_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/examples"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/test/histories/world"
)

// A stage is a world with what the scenarios do to it.
type stage struct{ *world.World }

const (
	logs     = "groups/search/clusters/logs/cluster.yaml"
	catalog  = "groups/search/clusters/catalog/cluster.yaml"
	invoices = "groups/billing/clusters/invoices/cluster.yaml"
	group    = "groups/search/group.yaml"
)

// only is the example fleet with some of its clusters.
func only(clusters ...string) map[string]string {
	files := examples.Files()
	for path := range files {
		if !strings.Contains(path, "/clusters/") {
			continue
		}
		if !slices.ContainsFunc(clusters, func(c string) bool { return strings.HasPrefix(path, strings.TrimSuffix(c, "cluster.yaml")) }) {
			delete(files, path)
		}
	}
	if !slices.Contains(clusters, invoices) {
		delete(files, "groups/billing/group.yaml")
	}
	return files
}

func (w *stage) check(err error) {
	w.T.Helper()
	if err != nil {
		w.T.Fatalf("%v", err)
	}
}

// label sets a label of the gate of logs as a person does, or takes it away.
func (w *stage) label(key, value string) {
	w.T.Helper()
	labels, _ := w.Sim.Definition("/search/logs/gate")["labels"].(map[string]any)
	doc := marathon.Doc{}
	for k, v := range labels {
		doc[k] = v
	}
	if doc[key] = value; value == "" {
		delete(doc, key)
	}
	body, err := json.Marshal(marathon.Doc{"labels": doc})
	w.check(err)
	w.Must(200, http.MethodPut, "/v2/apps/search/logs/gate", string(body))
}

// refusing is a Marathon that objects to what one app has in it, for ever.
type refusing struct {
	next http.RoundTripper
	app  string
	has  string
}

func (x refusing) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost {
		b, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(b))
		body := string(b)
		if strings.Contains(body, `"id":"`+x.app+`"`) && strings.Contains(body, x.has) {
			return &http.Response{StatusCode: 422, Status: "422 Unprocessable Entity", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
				Header: http.Header{"Content-Type": {"application/json"}, "X-Marathon-Leader": {"http://marathon-1.sim:8080"}},
				Body:   io.NopCloser(strings.NewReader(`{"message":"Object is not valid","details":[{"path":"/portDefinitions","errors":["taken"]}]}`))}, nil
		}
	}
	return x.next.RoundTrip(r)
}

// ask is a call to a node of logs by somebody else.
func (w *stage) ask(method, path, body string) {
	w.T.Helper()
	for _, a := range w.Sim.View().Apps {
		if a.ID != "/search/logs/es-master" {
			continue
		}
		r, err := http.NewRequestWithContext(context.Background(), method, fmt.Sprintf("http://%s:%d%s", a.Tasks[0].Host, a.Tasks[0].Ports[0], path), strings.NewReader(body))
		w.check(err)
		r.Header.Set("Content-Type", "application/json")
		res, err := w.Sim.Transport().RoundTrip(r)
		w.check(err)
		if res.StatusCode != http.StatusOK {
			b, _ := io.ReadAll(res.Body)
			w.T.Fatalf("%s %s: %s %s", method, path, res.Status, b)
		}
	}
}

// instance is Marathon's id of a data node of logs on a host that has none of its masters, and the host.
func (w *stage) instance() (instance, host string) {
	w.T.Helper()
	masters := map[string]bool{}
	for _, a := range slices.Backward(w.Sim.View().Apps) { // by name, so es-master comes first
		for _, t := range a.Tasks {
			switch {
			case a.ID == "/search/logs/es-master":
				masters[t.Host] = true
			case a.ID == "/search/logs/es-datanode" && !masters[t.Host]:
				return string(t.Instance), t.Host
			}
		}
	}
	w.T.Fatalf("every data node has a master beside it")
	return "", ""
}

// shared is a host with a data node and a master of logs, and Marathon's ids of the two.
func (w *stage) shared() (host string, ids []string) {
	w.T.Helper()
	on := map[string][]string{}
	for _, a := range w.Sim.View().Apps { // by name, so es-datanode comes first
		for _, t := range a.Tasks {
			if a.ID != "/search/logs/es-datanode" && a.ID != "/search/logs/es-master" {
				continue
			}
			if on[t.Host] = append(on[t.Host], string(t.Instance)); len(on[t.Host]) == 2 {
				return t.Host, on[t.Host]
			}
		}
	}
	w.T.Fatalf("no data node has a master beside it")
	return "", nil
}

// crash ends the process of a data node of logs.
func (w *stage) crash() {
	w.T.Helper()
	for _, a := range w.Sim.View().Apps {
		if a.ID == "/search/logs/es-datanode" && len(a.Tasks) > 0 {
			w.check(w.Sim.KillTask(a.Tasks[0].ID))
			return
		}
	}
	w.T.Fatalf("no data node runs")
}

// turned counts the data nodes of logs that are up with a time zone.
func (w *stage) turned(zone string) int {
	n := 0
	for _, a := range w.Sim.View().Apps {
		for _, t := range a.Tasks {
			if a.ID == "/search/logs/es-datanode" && t.Healthy && t.Env["TZ"] == zone {
				n++
			}
		}
	}
	return n
}
