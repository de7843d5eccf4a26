package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const index = "logs-story"

// clients write documents all the time and remember which ones Elasticsearch has acknowledged. Each document has an id of
// its own and is sent to one data node after the other until one takes it, so that a lost answer does no harm.
type clients struct {
	nodes  *directory
	kind   string // the type in a document's address
	stop   chan struct{}
	ended  sync.WaitGroup
	mu     sync.Mutex
	acked  []string
	failed map[string]int // tries, by the kind of failure
	pause  time.Duration  // the longest between two acknowledgements of one client
	paused time.Time      // when that ended
}

// perSecond is how many documents one client writes at most: enough to be in the way of every restart, and little enough
// for a small machine.
const perSecond = 20

func startClients(nodes *directory, kind string) *clients {
	c := &clients{nodes: nodes, kind: kind, stop: make(chan struct{}), failed: map[string]int{}}
	for _, name := range []string{"anna", "bert"} {
		c.ended.Go(func() { c.write(name) })
	}
	return c
}

// write is one client's life. It ends between two documents, never with one that is not acknowledged.
func (c *clients) write(name string) {
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	last := time.Now()
	for n := 0; ; n++ {
		select {
		case <-c.stop:
			return
		case <-tick.C:
		}
		id := fmt.Sprintf("%s-%d", name, n)
		for try := n; ; try++ {
			failure := c.put(id, try)
			if failure == "" {
				break
			}
			c.mu.Lock()
			c.failed[failure]++
			c.mu.Unlock()
			time.Sleep(50 * time.Millisecond) // the next node is asked, but not a thousand times a second
		}
		c.mu.Lock()
		c.acked = append(c.acked, id)
		if p := time.Since(last); p > c.pause {
			c.pause, c.paused = p, time.Now()
		}
		c.mu.Unlock()
		last = time.Now()
	}
}

// impatient gives a node that does not answer as much time as a client would.
var impatient = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Proxy: nil, MaxIdleConnsPerHost: 4}}

// put says why a document was not acknowledged; "" if it was.
func (c *clients) put(id string, try int) string {
	urls := c.nodes.data()
	if len(urls) == 0 {
		return "no data node is known"
	}
	req, err := http.NewRequest(http.MethodPut, fmt.Sprintf("%s/%s/%s/%s", urls[try%len(urls)], index, c.kind, id), strings.NewReader(`{"said":"`+id+`"}`))
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := impatient.Do(req)
	if err != nil {
		return failureOf(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
	if res.StatusCode/100 == 2 {
		return ""
	}
	return fmt.Sprintf("%d %.120s", res.StatusCode, body)
}

// failureOf leaves out what differs from one failure to the next: addresses and ports.
func failureOf(err error) string {
	s := err.Error()
	for _, known := range []string{"connection refused", "connection reset", "Client.Timeout", "EOF"} {
		if strings.Contains(s, known) {
			return known
		}
	}
	return s
}

// end lets both clients finish what they write.
func (c *clients) end() {
	select {
	case <-c.stop:
		return
	default:
	}
	close(c.stop)
	c.ended.Wait()
}

func (c *clients) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	tries, kinds := 0, []string{}
	for k, n := range c.failed {
		tries += n
		kinds = append(kinds, fmt.Sprintf("%d × %s", n, k))
	}
	slices.Sort(kinds)
	s := fmt.Sprintf("%d documents acknowledged, %d tries failed", len(c.acked), tries)
	if tries > 0 {
		s += " (" + strings.Join(kinds[:min(len(kinds), 8)], "; ") + ")"
	}
	return s + fmt.Sprintf(", longest pause of a client %.1f s", c.pause.Seconds())
}

// missing asks for every acknowledged document by its id.
func (c *clients) missing(t *testing.T, url string) []string {
	t.Helper()
	var gone []string
	for part := range slices.Chunk(c.acked, 1000) {
		body, err := json.Marshal(map[string]any{"ids": part})
		must(t, err)
		path := index // 8 knows no types
		if c.kind != "_doc" {
			path += "/" + c.kind
		}
		res, err := client.Post(fmt.Sprintf("%s/%s/_mget?_source=false", url, path), "application/json", bytes.NewReader(body))
		must(t, err)
		var answer struct {
			Docs []struct {
				ID    string `json:"_id"`
				Found bool
			}
		}
		err = json.NewDecoder(res.Body).Decode(&answer)
		_ = res.Body.Close()
		must(t, err)
		if len(answer.Docs) != len(part) {
			t.Fatalf("_mget answered %s with %d of %d documents", res.Status, len(answer.Docs), len(part))
		}
		for _, d := range answer.Docs {
			if !d.Found {
				gone = append(gone, d.ID)
			}
		}
	}
	return gone
}
