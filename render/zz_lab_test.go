package render_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

func TestZZLab(t *testing.T) {
	url := os.Getenv("ZZLAB")
	if url == "" {
		t.Skip()
	}
	c := realCluster(t, archive(t, "elasticsearch-7.17.28"), spec.Version{Major: 7, Minor: 17, Patch: 28}, 1)
	c.ID = spec.ClusterID{Group: "render", Name: "logs"}
	c.Role = ""
	c.Overrides = nil
	c.Nodes[spec.Data] = &spec.Nodes{Replicas: 2, CPUs: 0.5, Memory: 512 * spec.MiB, Heap: 96 * spec.MiB, Disk: spec.GiB, PerHost: 1}
	c.Nodes[spec.Master] = &spec.Nodes{Replicas: 3, CPUs: 0.5, Memory: 512 * spec.MiB, Heap: 64 * spec.MiB, Disk: spec.GiB, PerHost: 1}
	c.Discovery = spec.DiscoverySpec{Mode: spec.HAProxy, Port: 31990, StatsPort: 31991, Replicas: 2, CPUs: 0.1, Memory: 64 * spec.MiB}
	c.Kibana = nil
	c.Exporter.Image = ""
	c.Exporter.Graphite = "127.0.0.1:19977"
	c.Exporter.Interval = 5 * time.Second
	c.Checks = spec.Checks{Interval: 5 * time.Second, Timeout: 3 * time.Second, Grace: 3 * time.Minute, MaxFailures: 6}
	d, err := render.Cluster(c, blobs(), render.Target{Version: target.Version, NodeURLs: []string{url}})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range d.Apps {
		b, _ := json.Marshal(a.Doc)
		req, _ := http.NewRequest("PUT", url+"/v2/apps"+string(a.ID)+"?partialUpdate=false", bytes.NewReader(b))
		req.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		fmt.Println(a.ID, res.StatusCode, string(body))
	}
}
