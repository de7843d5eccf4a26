package render_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/esfleet/esfleet/spec"
)

// fakeNode answers the three questions of the exporter.
func fakeNode(t testing.TB) (host string, port int) {
	answers := map[string]string{
		"/_cluster/health":  `{"cluster_name":"Search Logs","status":"yellow","timed_out":false,"number_of_nodes":5,"active_shards_percent_as_number":98.5}`,
		"/_cluster/stats":   `{"indices":{"count":7,"docs":{"count":42},"store":{"size_in_bytes":1e3}},"nodes":{"count":{"total":5}}}`,
		"/_nodes/stats/jvm": `{"nodes":{"aB1":{"name":"data-10.0.0.1","jvm":{"mem":{"heap_used_percent":33},"gc":{"collectors":{"old":{"collection_count":2}}}}}}}`,
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, answers[r.URL.Path]) }))
	t.Cleanup(s.Close)
	a := s.Listener.Addr().(*net.TCPAddr)
	return a.IP.String(), a.Port
}

// carbon receives lines as Graphite does.
func carbon(t testing.TB) (addr string, received *safeBuffer) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	received = &safeBuffer{}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			buf := make([]byte, 64<<10)
			for {
				n, err := c.Read(buf)
				_, _ = received.Write(buf[:n])
				if err != nil {
					break
				}
			}
			c.Close()
		}
	}()
	return l.Addr().String(), received
}

func TestTheExporterSendsTheClustersNumbersToGraphite(t *testing.T) {
	t.Parallel()
	eachShell(t, func(t *testing.T, path string) {
		host, port := fakeNode(t)
		graphite, received := carbon(t)
		m := newMarathon(t)
		dead := task(1, "127.0.0.1", "TASK_RUNNING")
		dead["ports"] = []int{1, 2}
		live := task(2, host, "TASK_RUNNING")
		live["ports"] = []int{port, 2}
		m.app("/search/logs/es-datanode", 2, nil, dead, live)
		c := localCluster(t)
		c.Exporter.Graphite, c.Exporter.Prefix = graphite, "stats.es"
		out, stop := newBoot(t, path, c, spec.Exporter, m.URL).background(t)
		want := []string{
			"stats.es.search_logs.status 1 ", "stats.es.search_logs.number_of_nodes 5 ", "stats.es.search_logs.active_shards_percent_as_number 98.5 ",
			"stats.es.search_logs.indices.docs.count 42 ", "stats.es.search_logs.nodes.data-10_0_0_1.jvm.mem.heap_used_percent 33 ",
			"stats.es.search_logs.nodes.data-10_0_0_1.jvm.gc.collectors.old.collection_count 2 ",
		}
		eventually(t, "all numbers arrive", func() bool {
			for _, w := range want {
				if !strings.Contains(received.String(), w) {
					return false
				}
			}
			return true
		})
		if strings.Contains(received.String(), "timed_out") {
			t.Error("sent a value that is no number")
		}
		if err := stop(); err != nil {
			t.Errorf("SIGTERM ends it with %v:\n%s", err, out)
		}
	})
}

func TestKibanaFindsTheNodesThatServeClients(t *testing.T) {
	for _, tc := range []struct {
		v    spec.Version
		dist spec.Distribution
		want string
	}{
		{spec.Version{Major: 7, Minor: 17, Patch: 28}, spec.ElasticsearchDist, `elasticsearch.hosts: ["http://10.0.0.1:31002","http://10.0.0.2:31004"]`},
		{spec.Version{Major: 6, Minor: 5}, spec.ElasticsearchDist, `elasticsearch.url: "http://10.0.0.1:31002"`},
		{spec.Version{Major: 2, Minor: 11}, spec.OpenSearchDist, `opensearch.hosts: ["http://10.0.0.1:31002","http://10.0.0.2:31004"]`},
	} {
		t.Run(fmt.Sprintf("%s %s", tc.dist, tc.v), func(t *testing.T) {
			t.Parallel()
			eachShell(t, func(t *testing.T, path string) {
				m := newMarathon(t)
				m.app("/search/logs/es-datanode", 2, nil, task(2, "10.0.0.2", "TASK_RUNNING"), task(1, "10.0.0.1", "TASK_RUNNING"), task(3, "10.0.0.3", "TASK_STAGING"))
				c := localCluster(t)
				c.Elasticsearch.Distribution, c.Elasticsearch.Version = tc.dist, tc.v
				c.Kibana.Home = openDir(t)
				for _, name := range []string{"kibana", "opensearch-dashboards"} {
					program := filepath.Join(c.Kibana.Home, "bin", name)
					if err := os.MkdirAll(filepath.Dir(program), 0o755); err != nil {
						t.Fatal(err)
					}
					if err := os.WriteFile(program, []byte("#!/bin/sh\ncat \"$2\"\n"), 0o755); err != nil {
						t.Fatal(err)
					}
				}
				out, _ := newBoot(t, path, c, spec.Kibana, m.URL).mustStart(t)
				wantLines(t, strings.ReplaceAll(out, `", "`, `","`), tc.want, "server.port: 31000", `server.host: "127.0.0.9"`)
			})
		})
	}
}
