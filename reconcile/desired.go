package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// DefaultTarget is what is rendered for where no Marathon can be asked.
var DefaultTarget = marathon.Version{Major: 1, Minor: 11, Patch: 24}

// Render makes every cluster's Desired for the versions of their Marathons; a Marathon without an entry in versions is
// taken as DefaultTarget. A cluster that cannot be rendered is in errs, and in no list.
func Render(in Input, versions map[spec.MarathonName]marathon.Version) (out []*render.Desired, errs map[spec.ClusterID]error) {
	errs = map[spec.ClusterID]error{}
	byName := map[spec.MarathonName]spec.Marathon{}
	for _, m := range in.Fleet.Marathons {
		byName[m.Name] = m
	}
	for _, g := range in.Fleet.Groups {
		for _, c := range g.Clusters {
			m := byName[c.Marathon]
			t := render.Target{Version: DefaultTarget, NodeURLs: m.NodeURLs}
			if len(t.NodeURLs) == 0 {
				t.NodeURLs = m.URLs
			}
			if v, ok := versions[c.Marathon]; ok {
				t.Version = v
			}
			d, err := render.Cluster(c, in.Blobs, t)
			if err != nil {
				errs[c.ID] = fmt.Errorf("render %s: %w", c.ID, err)
				continue
			}
			out = append(out, d)
		}
	}
	return out, errs
}

// A desiredCache keeps the last rendering: it changes only with the commit and the Marathons' versions.
type desiredCache struct {
	key    string
	out    []*render.Desired
	errs   map[spec.ClusterID]error
	digest string
}

func (c *desiredCache) get(in Input, versions map[spec.MarathonName]marathon.Version) ([]*render.Desired, map[spec.ClusterID]error, string) {
	v, err := json.Marshal(versions)
	if err != nil {
		panic(err) // plain numbers always marshal
	}
	key := fmt.Sprintf("%p %s %s", in.Fleet, in.Fleet.Commit, v)
	if c.key != key {
		c.out, c.errs = Render(in, versions)
		c.digest, c.key = digest(c.out), key
	}
	return c.out, c.errs, c.digest
}

// digest names the content of a fleet: what would run, whatever the commit.
func digest(ds []*render.Desired) string {
	h := sha256.New()
	for _, d := range ds {
		for _, a := range d.Apps {
			b, err := json.Marshal(a.Doc)
			if err != nil {
				panic(err) // rendered documents hold only JSON values
			}
			_, _ = h.Write(b)
			_, _ = io.WriteString(h, "\n")
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}
