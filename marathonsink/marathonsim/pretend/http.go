package pretend

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathonsim/jsontree"
)

// obj is a JSON object.
type obj = map[string]any

// An answer is a status with JSON, or with plain text where text is set.
type answer struct {
	code int
	body any
	text string
}

func ok(body any) answer { return answer{code: http.StatusOK, body: body} }

// A call is one request to a node.
type call struct {
	*node
	r     *http.Request
	q     url.Values
	parts []string // of the path
	body  obj

	posing *Impostor
}

// ServeHTTP answers as the node does: nothing before it is up, everything it knows by itself, and what needs a master
// once there is one.
func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n.fleet.mu.Lock()
	c := n.c
	n.fleet.mu.Unlock()
	if c == nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	x := &call{node: n, r: r, q: r.URL.Query()}
	for p := range strings.SplitSeq(r.URL.Path, "/") {
		if p != "" {
			x.parts = append(x.parts, p)
		}
	}
	if b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20)); err == nil && len(b) > 0 {
		_ = json.Unmarshal(b, &x.body) // what is no object has no fields
	}
	cut, done := x.disturbed(w)
	if done {
		return
	}
	if !x.await(func() bool { return !n.frozen }, -1) {
		panic(http.ErrAbortHandler) // the client gave up, or the process ended
	}
	up := false
	n.fleet.enter(c, func() { up, x.posing = !n.upAt.After(c.now), n.impostor })
	if !up {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	x.reply(w, x.answer(), cut)
}

// disturbed does what a test asked for instead of, or before, an answer.
func (x *call) disturbed(w http.ResponseWriter) (cut, done bool) {
	var all []Answers
	x.fleet.enter(x.c, func() {
		for _, a := range x.c.faults.answers {
			if (a.Task == "" || a.Task == x.task.ID) && strings.HasPrefix(x.r.URL.Path, a.Path) && (a.Until.IsZero() || x.c.now.Before(a.Until)) {
				all = append(all, a)
			}
		}
	})
	for _, a := range all {
		switch {
		case a.Never:
			<-x.r.Context().Done()
			panic(http.ErrAbortHandler)
		case a.Late > 0:
			t := time.NewTimer(a.Late)
			select {
			case <-t.C:
			case <-x.r.Context().Done():
				t.Stop()
				panic(http.ErrAbortHandler)
			}
		}
		if a.Reset {
			panic(http.ErrAbortHandler) // how net/http lets a handler break the connection
		}
		if a.Status != 0 {
			x.reply(w, failure(a.Status, "test_exception", "a test wants it so"), a.Cut)
			return false, true
		}
		cut = cut || a.Cut
	}
	return cut, false
}

func (x *call) reply(w http.ResponseWriter, a answer, cut bool) {
	var b []byte
	if a.text != "" || a.body == nil {
		w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
		b = []byte(a.text)
	} else {
		w.Header().Set("Content-Type", "application/json")
		if x.version.opensearch || x.version.atLeast(7, 14) {
			w.Header().Set("X-elastic-product", "Elasticsearch")
		}
		b = x.encode(a)
	}
	w.WriteHeader(a.code)
	if cut {
		_, _ = w.Write(b[:len(b)/2])
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(b) // who went away needs no answer
}

func (x *call) encode(a answer) []byte {
	body := a.body
	if paths := words(x.q.Get("filter_path")); len(paths) > 0 && a.code < 300 {
		body = filter(body, paths)
	}
	b, err := jsontree.Marshal(body)
	if err != nil {
		panic(err) // every body is made of maps, lists and text
	}
	return append(b, '\n')
}

// filter keeps what filter_path names: dots between keys, * within one.
func filter(v any, paths []string) any {
	split := make([][]string, len(paths))
	for i, p := range paths {
		split[i] = strings.Split(p, ".")
	}
	if kept := keep(v, split); kept != nil {
		return kept
	}
	return obj{}
}

func keep(v any, paths [][]string) any {
	switch v := v.(type) {
	case map[string]any:
		out := obj{}
		for k, x := range v {
			if kept := keepKey(k, x, paths); kept != nil {
				out[k] = kept
			}
		}
		if len(out) > 0 {
			return out
		}
	case []any:
		var out []any
		for _, x := range v {
			if kept := keep(x, paths); kept != nil {
				out = append(out, kept)
			}
		}
		if len(out) > 0 {
			return out
		}
	case nil, string, bool, int, int64, float64, []string:
	default:
		return keep(plain(v), paths)
	}
	return nil
}

// plain is a value of a type that filter does not know, as its JSON says.
func plain(v any) (out any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // as in encode
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		panic(err)
	}
	if _, scalar := out.(json.Number); scalar {
		return nil // no path leads into it
	}
	return out
}

func keepKey(key string, v any, paths [][]string) any {
	var rest [][]string
	for _, p := range paths {
		name := p
		if p[0] == "**" {
			rest = append(rest, p)
			name = p[1:]
		}
		// A key may itself hold dots, as flat settings do.
		for n := 1; n <= 1+min(strings.Count(key, "."), len(name)-1); n++ {
			if matches([]string{strings.Join(name[:n], ".")}, key) {
				if n == len(name) {
					return v
				}
				rest = append(rest, name[n:])
			}
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return keep(v, rest)
}

// await waits until good holds: at most limit, for ever if that is negative, and never longer than the client does. It
// says whether it holds. good runs with the lock held.
func (x *call) await(good func() bool, limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for {
		var fine bool
		var changed chan struct{}
		var next time.Time
		x.fleet.enter(x.c, func() { fine, changed, next = good(), x.c.changed, x.c.next })
		if fine {
			return true
		}
		wait := time.Hour
		if limit >= 0 {
			if wait = time.Until(deadline); wait <= 0 {
				return false
			}
		}
		if !next.IsZero() {
			// A little later than the event: whoever waits for the same instant for other reasons goes first.
			wait = min(wait, time.Until(next)+1137*time.Microsecond)
		}
		t := time.NewTimer(wait)
		select {
		case <-changed:
		case <-t.C:
		case <-x.r.Context().Done():
			t.Stop()
			return false
		}
		t.Stop()
	}
}

// limit is a parameter that is a time.
func (x *call) limit(name string, fallback time.Duration) time.Duration {
	if d, ok := duration(x.q.Get(name)); ok {
		return max(0, d)
	}
	return fallback
}

// flag is a parameter that is true or there without a value.
func (x *call) flag(name string, fallback bool) bool {
	if !x.q.Has(name) {
		return fallback
	}
	v, err := strconv.ParseBool(x.q.Get(name))
	return err != nil || v
}

// member says that the node has joined and its master can be reached.
func (n *node) member() bool {
	c := n.c
	return c.master != nil && c.isMember(n) && c.reaches(n, c.master)
}

// hangs says that the node still takes a master for alive that does not answer.
func (n *node) hangs() bool {
	c := n.c
	return c.master != nil && c.isMember(n) && !c.reaches(n, c.master) && c.now.Before(n.noticedAt(c.master))
}

func failure(code int, kind, reason string) answer {
	var why any
	if reason != "" {
		why = reason
	}
	return answer{code: code, body: obj{"status": code, "error": obj{
		"root_cause": []any{obj{"type": kind, "reason": why}}, "type": kind, "reason": why}}}
}

// noMaster is the refusal after master_timeout.
func (n *node) noMaster() answer {
	if n.version.opensearch && n.version.major >= 2 {
		return failure(http.StatusServiceUnavailable, "cluster_manager_not_discovered_exception", "")
	}
	return failure(http.StatusServiceUnavailable, "master_not_discovered_exception", "")
}
