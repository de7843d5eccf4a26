package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/esfleet/esfleet/reconcile/oplog"
	"github.com/esfleet/esfleet/reconcile/plan"
)

// A directory knows where a cluster's nodes answer, as Marathon shows it. It is asked by clients that must not stop when
// Marathon does.
type directory struct {
	cluster  string
	mu       sync.Mutex
	marathon string
	urls     map[string][]string // by the app's name
}

func (d *directory) refresh() {
	d.mu.Lock()
	marathon := d.marathon
	d.mu.Unlock()
	var list struct{ Apps []*app }
	if get(marathon+"/v2/apps?embed=apps.tasks", &list) != nil {
		return // what was known may still be right
	}
	urls := map[string][]string{}
	for _, a := range list.Apps {
		name, ours := strings.CutPrefix(a.ID, "/"+d.cluster+"/es-")
		if !ours {
			continue
		}
		for _, k := range a.Tasks {
			if k.State == "TASK_RUNNING" && len(k.Ports) > 0 {
				urls[name] = append(urls[name], fmt.Sprintf("http://%s:%d", k.Host, k.Ports[0]))
			}
		}
		slices.Sort(urls[name])
	}
	d.mu.Lock()
	d.urls = urls
	d.mu.Unlock()
}

// moved says where Marathon is now.
func (d *directory) moved(url string) {
	d.mu.Lock()
	d.marathon = url
	d.mu.Unlock()
}

func (d *directory) data() []string { return d.of("datanode") }

func (d *directory) of(prefix string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for name, urls := range d.urls {
		if strings.HasPrefix(name, prefix) {
			out = append(out, urls...)
		}
	}
	return out
}

// A sample is the cluster at one moment, as its own nodes tell it. Without a master nobody can tell.
type sample struct {
	at     time.Time
	colour string   // "" if unknown
	nodes  []string // names, sorted; nil if unknown
}

// A watcher samples a cluster several times a second, whatever else happens to it.
type watcher struct {
	nodes   *directory
	stop    chan struct{}
	ended   sync.WaitGroup
	mu      sync.Mutex
	samples []sample
}

const samplePeriod = 400 * time.Millisecond

func startWatcher(nodes *directory) *watcher {
	w := &watcher{nodes: nodes, stop: make(chan struct{})}
	w.ended.Go(func() {
		tick := time.NewTicker(samplePeriod)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-w.stop:
				return
			case <-tick.C:
			}
			if n%3 == 0 {
				nodes.refresh()
			}
			s := w.look()
			w.mu.Lock()
			w.samples = append(w.samples, s)
			w.mu.Unlock()
		}
	})
	return w
}

func (w *watcher) end() {
	select {
	case <-w.stop:
		return
	default:
	}
	close(w.stop)
	w.ended.Wait()
}

// look asks one node after the other, masters first, since those know first who is there.
func (w *watcher) look() sample {
	for _, url := range append(w.nodes.of("master"), w.nodes.data()...) {
		names, err := text(url + "/_cat/nodes?h=name&master_timeout=1s")
		if err != nil {
			continue
		}
		at := time.Now()
		colour, err := colourAt(url)
		if err != nil {
			continue
		}
		nodes := strings.Fields(names)
		slices.Sort(nodes)
		return sample{at, colour, nodes}
	}
	return sample{at: time.Now()}
}

// colourAt is the cluster's health as one node tells it.
func colourAt(url string) (string, error) {
	answer, err := text(url + "/_cluster/health?master_timeout=1s&filter_path=status")
	if err != nil {
		return "", err
	}
	var h struct{ Status string }
	err = json.Unmarshal([]byte(answer), &h)
	return h.Status, err
}

var hasty = &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}

func text(url string) (string, error) {
	res, err := hasty.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %.200s", url, res.Status, b)
	}
	return string(b), err
}

// seconds adds up how long the cluster was seen in each colour.
func (w *watcher) seconds() map[string]float64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := map[string]float64{}
	for i := 1; i < len(w.samples); i++ {
		out[w.samples[i-1].colour] += w.samples[i].at.Sub(w.samples[i-1].at).Seconds()
	}
	return out
}

// unexplainedRed adds up how long the cluster was red, but for what a node explains that the story itself killed or froze:
// another may be in its turn just then, and the two hold the only copies of a shard. That ends when the cluster is green
// again after it was not.
func unexplainedRed(samples []sample, hurt []time.Time) time.Duration {
	var red time.Duration
	explained, ill := false, false
	for i := 1; i < len(samples); i++ {
		s := samples[i-1]
		for len(hurt) > 0 && !s.at.Before(hurt[0]) {
			explained, ill, hurt = true, false, hurt[1:]
		}
		switch s.colour {
		case "green":
			explained = explained && !ill
		case "red":
			ill = true
			if !explained {
				red += samples[i].at.Sub(s.at)
			}
		case "yellow":
			ill = true
		}
	}
	return red
}

func TestARedClusterIsExplainedOnlyByANodeThatTheStoryHurt(t *testing.T) {
	began := time.Unix(0, 0)
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	for colours, want := range map[string]time.Duration{
		"ggrg": time.Second, "ggKgyrryg": 0, "ggKrrgr.": time.Second, "gyrKrg": time.Second, "gKggyrgrr.": 2 * time.Second, "gKryKrgg": 0,
	} {
		var samples []sample
		var hurt []time.Time
		for _, c := range colours {
			if c == 'K' {
				hurt = append(hurt, at(len(samples)))
				continue
			}
			samples = append(samples, sample{at: at(len(samples)), colour: map[rune]string{'g': "green", 'y': "yellow", 'r': "red"}[c]})
		}
		if got := unexplainedRed(samples, hurt); got != want {
			t.Errorf("%s: red for %s, want %s", colours, got, want)
		}
	}
}

// An absence is a member that was not there for a while.
type absence struct {
	node     string
	from, to time.Time // the first and the last sample without it
	ours     bool      // it was stopped by a step of the operation log
}

// A stop is a step of the operation log that ended a node.
type stop struct {
	at   time.Time
	verb plan.Verb
	node string
	done bool // Marathon has taken it; otherwise nobody knows
}

// stops reads the steps that end a node from the operation log.
func stops(entries []oplog.Entry, cluster string) []stop {
	var out []stop
	for _, e := range entries {
		switch v := plan.Verb(e.Verb); {
		case e.Cluster != cluster || e.Outcome != nil && e.Outcome.State == oplog.Refused:
		case v == plan.StopNode || v == plan.RestartNode || v == plan.RemoveNode:
			out = append(out, stop{e.Time, v, e.Node, e.Outcome != nil && e.Outcome.State == oplog.Done})
		}
	}
	return out
}

// absences finds who was missing and when. Who is removed for good is no member any longer.
func absences(samples []sample, steps []stop) []absence {
	var out []absence
	seen := map[string]time.Time{} // when last
	open := map[string]int{}       // index into out
	for _, s := range samples {
		if s.nodes == nil {
			continue
		}
		for _, n := range s.nodes {
			seen[n] = s.at
			delete(open, n)
		}
		for n, last := range seen {
			if slices.Contains(s.nodes, n) {
				continue
			}
			if i, known := open[n]; known {
				out[i].to = s.at
				continue
			}
			a := absence{node: n, from: s.at, to: s.at}
			gone := false
			for _, x := range steps {
				if x.node == n && x.at.After(last.Add(-2*time.Second)) && x.at.Before(s.at) {
					a.ours, gone = true, gone || x.verb == plan.RemoveNode
				}
			}
			if gone {
				delete(seen, n)
				continue
			}
			open[n] = len(out)
			out = append(out, a)
		}
	}
	return out
}

// oneAtATime says that never more than one node was away by our hand, and that none was stopped while another was seen
// to be away both before and after it.
func oneAtATime(t *testing.T, samples []sample, steps []stop) []absence {
	t.Helper()
	all := absences(samples, steps)
	for i, a := range all {
		for _, b := range all[i+1:] {
			if a.ours && b.ours && b.from.Before(a.to) {
				t.Errorf("%s was stopped at %s while %s was away since %s", b.node, clock(b.from), a.node, clock(a.from))
			}
		}
	}
	for _, x := range steps {
		for _, a := range all {
			if x.done && a.node != x.node && a.from.Before(x.at) && a.to.After(x.at) {
				t.Errorf("%s of %s at %s: %s was away from %s to %s", x.verb, x.node, clock(x.at), a.node, clock(a.from), clock(a.to))
			}
		}
	}
	return all
}

func clock(t time.Time) string { return t.Format("15:04:05.0") }
