package roll_test

import (
	"bufio"
	"encoding/json"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A node is what a stand-in says of itself when it starts.
type node struct {
	Name, Host, Instance, Bundle, Component, HTTP string
	Task                                          marathon.TaskID
	Word                                          string // of the app's environment: what each pass changes
	Mark                                          string // on its volume
	Fresh                                         bool   // the volume was empty
	PID                                           int
}

// A board hears of every start and every end of a node at once: each node holds a connection to it as long as it lives.
type board struct {
	address string
	law     *law

	mu    sync.Mutex
	up    map[string]node     // by name
	lines map[string]net.Conn // by name
	held  bool                // nobody becomes ready
}

func newBoard(t *testing.T, l *law) *board {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	b := &board{address: listener.Addr().String(), law: l, up: map[string]node{}, lines: map[string]net.Conn{}}
	go func() {
		for {
			line, err := listener.Accept()
			if err != nil {
				return // closed
			}
			go b.serve(line)
		}
	}()
	t.Cleanup(b.close)
	return b
}

func (b *board) serve(line net.Conn) {
	defer line.Close()
	lines := bufio.NewReader(line)
	first, err := lines.ReadBytes('\n')
	if err != nil {
		return
	}
	var n node
	if err := json.Unmarshal(first, &n); err != nil {
		b.law.breaks("a node says of itself %q", first)
		return
	}
	b.mu.Lock()
	if other, ok := b.up[n.Name]; ok {
		b.law.breaks("%s starts (%s) while it runs (%s)", n.Name, n.Task, other.Task)
	}
	b.up[n.Name], b.lines[n.Name] = n, line
	b.law.started(n)
	b.tell()
	b.mu.Unlock()
	_, _ = lines.ReadByte() // ends with the process
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.up[n.Name].Task == n.Task {
		delete(b.up, n.Name)
		delete(b.lines, n.Name)
	}
	b.law.isDown(n)
	b.tell()
}

// tell says to every node whether the cluster is green. b.mu is held.
func (b *board) tell() {
	word := "ready\n"
	if b.held || len(b.up) < b.law.members() {
		word = "wait\n"
	}
	for _, line := range b.lines {
		_, _ = line.Write([]byte(word)) // one that has just died hears nothing
	}
}

// hold keeps all nodes from being ready, or lets them.
func (b *board) hold(yes bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = yes
	b.tell()
}

// nodes are those that are up, by name.
func (b *board) nodes() []node {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []node
	for _, n := range b.up {
		out = append(out, n)
	}
	slices.SortFunc(out, func(x, y node) int { return strings.Compare(x.Name, y.Name) })
	return out
}

// close ends all nodes: the test is over.
func (b *board) close() {
	b.law.rest()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, line := range b.lines {
		_ = line.Close()
	}
}
