package roll_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A law hears of every write before it is sent, and of every start and end of a node, and knows what may never be.
type law struct {
	t *testing.T

	mu      sync.Mutex
	began   time.Time
	moved   time.Time                // when something happened last that cannot happen for ever
	over    bool                     // the test has ended, and so do the nodes
	known   map[string]node          // by name, each as it ran last; nil while the cluster is created
	down    map[string]bool          // by name
	orders  map[marathon.TaskID]bool // runs that the daemon has asked Marathon to stop
	foreign bool                     // somebody else restarts nodes
	ended   map[string]int           // how often each node has ended in this pass
	total   int                      // ends in all passes
	writes  int                      // in this pass
	most    int                      // nodes down at once, ever
	broken  []string
}

func newLaw(t *testing.T) *law {
	return &law{t: t, began: time.Now(), moved: time.Now(), down: map[string]bool{}, orders: map[marathon.TaskID]bool{}, ended: map[string]int{}}
}

func (l *law) breaks(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.breaksLocked(format, args...)
}

func (l *law) breaksLocked(format string, args ...any) {
	if l.over {
		return
	}
	text := fmt.Sprintf(format, args...)
	l.broken = append(l.broken, text)
	l.t.Errorf("%s: %s", time.Since(l.began).Round(10*time.Millisecond), text)
}

func (l *law) say(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sayLocked(format, args...)
}

func (l *law) sayLocked(format string, args ...any) {
	if !l.over {
		l.t.Logf("%8s %s", time.Since(l.began).Round(10*time.Millisecond), fmt.Sprintf(format, args...))
	}
}

// moves says something that brings the pass nearer to its end: it has so many deaths and each node has one turn.
func (l *law) moves(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moved = time.Now()
	l.sayLocked(format, args...)
}

// rests is for how long the pass has not come nearer to its end.
func (l *law) rests() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Since(l.moved)
}

// members is how many nodes there must be; 0 while they are created.
func (l *law) members() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.known)
}

// created makes these nodes the cluster: from now on each comes back where it was, or the law is broken.
func (l *law) created(nodes []node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known = map[string]node{}
	for _, n := range nodes {
		l.known[n.Name] = n
	}
}

func (l *law) newPass() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended, l.writes = map[string]int{}, 0
}

func (l *law) started(n node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moved = time.Now()
	l.sayLocked("  up    %s %s word %s", n.Name, n.Task, n.Word)
	if l.known == nil {
		return
	}
	was, ok := l.known[n.Name]
	switch {
	case !ok:
		l.breaksLocked("%s starts (%s), which is none of the cluster's nodes", n.Name, n.Task)
		return
	case n.Fresh || n.Mark != was.Mark:
		l.breaksLocked("%s starts (%s) on another volume, mark %q instead of %q", n.Name, n.Task, n.Mark, was.Mark)
	case n.Host != was.Host || n.Instance != was.Instance:
		l.breaksLocked("%s starts as instance %s on %s, it was %s on %s", n.Name, n.Instance, n.Host, was.Instance, was.Host)
	}
	l.known[n.Name] = n
	delete(l.down, n.Name)
}

func (l *law) isDown(n node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moved = time.Now()
	l.sayLocked("  down  %s %s", n.Name, n.Task)
	if l.known == nil {
		return
	}
	l.down[n.Name] = true
	l.ended[n.Name]++
	l.total++
	l.most = max(l.most, len(l.down))
	if len(l.down) > 1 {
		l.breaksLocked("%d nodes are down at once: %s", len(l.down), names(l.down))
	}
	if !l.orders[n.Task] && !l.foreign {
		l.breaksLocked("%s (%s) was stopped, and not by the daemon", n.Name, n.Task)
	}
	delete(l.orders, n.Task)
}

func names(set map[string]bool) string {
	return strings.Join(slices.Sorted(maps.Keys(set)), ", ")
}

// sends judges a write before it is sent.
func (l *law) sends(v verb, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writes++
	l.sayLocked("%s: %s %s", v, r.Method, r.URL.RequestURI())
	if l.foreign {
		l.breaksLocked("%s while somebody else's deployment is open", v)
	}
	switch v {
	case stopNode, restartNode:
		_, task, _ := strings.Cut(r.URL.Path, "/tasks/")
		l.orders[marathon.TaskID(task)] = true
		for name := range l.down {
			if l.known[name].Task != marathon.TaskID(task) {
				l.breaksLocked("%s is to be stopped while %s is down", task, names(l.down))
			}
		}
	case commit:
		if len(l.down) > 0 {
			l.breaksLocked("a commit while %s is down", names(l.down))
		}
	case forbidden:
		l.breaksLocked("%s %s belongs to no commit and no turn", r.Method, r.URL.RequestURI())
	}
}

func (l *law) answers(v verb, status int) {
	if status == http.StatusConflict {
		l.breaks("%s: 409; who looks first is never told so", v)
	}
}

func (l *law) setForeign(yes bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.foreign = yes
}

func (l *law) isForeign() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.foreign
}

// counts are the nodes that are down now, all ends there have been, and the writes of this pass.
func (l *law) counts() (down, ends, writes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.down), l.total, l.writes
}

// passed checks the end of a pass: each node runs what git says, and was stopped exactly once, or at least once where
// others had their hand in it.
func (l *law) passed(word string, exactly bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(l.known)) {
		if n := l.known[name]; n.Word != word {
			l.breaksLocked("%s runs with word %s, git says %s", name, n.Word, word)
		}
		if k := l.ended[name]; k != 1 && exactly {
			l.breaksLocked("%s was stopped %d times in one pass", name, k)
		}
	}
	if len(l.down) > 0 {
		l.breaksLocked("converged while %s is down", names(l.down))
	}
}

// rest ends the law: what happens now is the test's own end.
func (l *law) rest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
}
