package pretend_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
)

// BenchmarkAnswers asks a cluster of one node that holds twenty shards, in real time.
func BenchmarkAnswers(b *testing.B) {
	f := &pretend.Fleet{Boot: time.Nanosecond, Form: time.Nanosecond, Join: time.Nanosecond, Recover: time.Nanosecond,
		Indices: []pretend.Index{{Name: "docs", Primaries: 20}}}
	node := f.Program(marathonsim.Task{ID: "t", App: "/search/logs/es-datanode", Host: "h", Ports: []int{9200}, Instances: 1,
		Labels: map[string]string{marathon.LabelComponent: "data", marathon.LabelGroup: "search", marathon.LabelCluster: "logs"}})
	ctx := b.Context()
	go func() { _ = node.Run(ctx) }()
	for f.Cluster(logs).Health != "green" {
		time.Sleep(time.Millisecond)
	}
	for _, path := range []string{"/_cluster/health?wait_for_status=green&timeout=1s", "/_cluster/state/master_node,nodes,routing_table,metadata", "/_cat/shards?format=json"} {
		b.Run(path, func(b *testing.B) {
			for b.Loop() {
				w := httptest.NewRecorder()
				node.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
				if w.Code != 200 {
					b.Fatal(w.Code, w.Body)
				}
			}
		})
	}
}
