package spec_test

import (
	"fmt"
	"testing"

	"github.com/esfleet/esfleet/examples"
	"github.com/esfleet/esfleet/gitsrc/snapshot"
	"github.com/esfleet/esfleet/spec"
)

// fleetOf is the example fleet's logs cluster n times, spread over groups of a hundred, each with content of its own.
func fleetOf(n int) map[string]string {
	ex := examples.Files()
	files := map[string]string{"fleet.yaml": ex["fleet.yaml"]}
	for i := range n {
		group := fmt.Sprintf("groups/g%03d/", i/100)
		files[group+"group.yaml"] = "apiVersion: esfleet/v1\nkind: Group\ndefaults:\n  elasticsearch: {version: \"7.17.28\", image: es:7}\n  discovery: {image: discovery:1}\n"
		dir := fmt.Sprintf("%sclusters/c%05d/", group, i)
		for _, f := range []string{"cluster.yaml", "elasticsearch.yml", "pre-run.sh", "files/stopwords.txt"} {
			files[dir+f] = ex["groups/search/clusters/logs/"+f] + fmt.Sprintf("# %d\n", i)
		}
	}
	return files
}

// A cold Parse pays for every file once; a warm one for the one that changed, and for looking at the rest.
func BenchmarkParse(b *testing.B) {
	for _, n := range []int{44, 1000, 10000} {
		files := fleetOf(n)
		s := snapshot.FromMap("c1", files)
		b.Run(fmt.Sprintf("cold/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, problems := spec.Parse(s, nil); len(problems) > 0 {
					b.Fatal(problems[0])
				}
			}
		})
		b.Run(fmt.Sprintf("warm/%d", n), func(b *testing.B) {
			var cache spec.Cache
			spec.Parse(s, &cache)
			b.ReportAllocs()
			for b.Loop() {
				if _, problems := spec.Parse(s, &cache); len(problems) > 0 {
					b.Fatal(problems[0])
				}
			}
		})
	}
}
