package roll_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

// An elasticsearch answers as a cluster of the nodes that are up would: it forms once all masters are there, its one index
// has each shard on two data nodes, and it is green only while all of them are members.
type elasticsearch struct {
	board  *board
	master spec.Component // that can be elected
	size   int            // masters, and data nodes

	mu                    sync.Mutex
	uuid, elected         string
	homes                 []string // of shards
	delay                 string
	persistent, transient map[string]string
	templates             map[string]map[string]any
}

const clusterName = "search-logs"

func newElasticsearch(b *board, master spec.Component, size int) *elasticsearch {
	return &elasticsearch{board: b, master: master, size: size, persistent: map[string]string{}, transient: map[string]string{}, templates: map[string]map[string]any{}}
}

func (e *elasticsearch) Read(_ context.Context, t esgate.Target) esgate.Health {
	e.mu.Lock()
	defer e.mu.Unlock()
	h := esgate.Health{Asked: true, At: time.Now()}
	up := e.board.nodes()
	if h.Why = e.elect(up); h.Why != "" {
		return h
	}
	h.Known, h.Name, h.UUID, h.Master, h.Status, h.StateVersion = true, clusterName, e.uuid, e.elected, "green", 1
	h.Persistent, h.Transient, h.Templates = maps.Clone(e.persistent), maps.Clone(e.transient), maps.Clone(e.templates)
	for _, n := range up {
		h.Nodes = append(h.Nodes, esgate.Node{Name: n.Name, ID: n.Mark, EphemeralID: fmt.Sprint(n.PID), Host: n.Host, HTTP: n.HTTP, Version: t.Version,
			MasterEligible: n.Component == string(e.master), Data: n.Component == string(spec.Data), Uptime: time.Hour, DiskTotal: 1 << 40, DiskFree: 1 << 39,
			Attributes: map[string]string{esgate.AttrBundle: n.Bundle, esgate.AttrComponent: n.Component, esgate.AttrInstance: n.Instance}})
	}
	e.place(&h)
	return h
}

// elect says why there is no master, and forms the cluster when it can.
func (e *elasticsearch) elect(up []node) (why string) {
	var eligible []string
	for _, n := range up {
		if n.Component == string(e.master) {
			eligible = append(eligible, n.Name)
		}
	}
	if e.uuid == "" && len(eligible) == e.size {
		e.uuid = "roll-" + time.Now().UTC().Format("20060102T150405.000")
	}
	if e.uuid == "" || len(eligible) <= e.size/2 {
		return fmt.Sprintf("no master is elected: %d of %d are there", len(eligible), e.size)
	}
	if !slices.Contains(eligible, e.elected) {
		e.elected = eligible[len(eligible)-1]
	}
	return ""
}

// place puts each shard of the one index on two data nodes, for ever the same.
func (e *elasticsearch) place(h *esgate.Health) {
	if len(e.homes) == 0 && h.DataNodes() == e.size {
		for _, n := range h.Nodes {
			if n.Data {
				e.homes = append(e.homes, n.Name)
			}
		}
	}
	if len(e.homes) == 0 {
		return
	}
	h.Indices = []esgate.Index{{Name: "documents", Shards: len(e.homes), Replicas: 1, DelayedTimeout: e.delay}}
	for i := range e.homes {
		primary := true
		for _, home := range []string{e.homes[i], e.homes[(i+1)%len(e.homes)]} {
			if h.Node(home) != nil {
				h.Shards = append(h.Shards, esgate.Shard{Index: "documents", Number: i, Primary: primary, State: esgate.Started, Node: home, Bytes: 1 << 20})
				primary = false
			}
		}
		for missing := 2; missing > 0 && len(h.Shards) < 2*i+2; missing-- {
			h.Shards = append(h.Shards, esgate.Shard{Index: "documents", Number: i, Primary: primary, State: esgate.Unassigned})
			h.Unassigned, h.Delayed = h.Unassigned+1, h.Delayed+1
			switch {
			case primary:
				h.Status, primary = "red", false
			case h.Status == "green":
				h.Status = "yellow"
			}
		}
	}
}

func (e *elasticsearch) Write(_ context.Context, _ esgate.Target, c esgate.Change) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	set(e.persistent, c.Persistent)
	set(e.transient, c.Transient)
	if c.DelayedTimeout != "" {
		e.delay = c.DelayedTimeout
	}
	if c.Template == nil {
		return nil
	}
	text, err := json.Marshal(c.Template.Body)
	if err != nil {
		return err
	}
	var body map[string]any
	if err := json.Unmarshal(text, &body); err != nil {
		return err
	}
	e.templates[c.Template.Name] = body
	return nil
}

func set(in map[string]string, change map[string]*string) {
	for k, v := range change {
		if v == nil {
			delete(in, k)
		} else {
			in[k] = *v
		}
	}
}

// asked is the cluster as one daemon reaches it: not at all once that is dead.
type asked struct {
	*elasticsearch
	daemon *daemon
}

var errDead = errors.New("the daemon is dead")

func (a asked) Read(ctx context.Context, t esgate.Target) esgate.Health {
	if a.daemon.dead.Load() {
		return esgate.Health{Asked: true, At: time.Now(), Why: errDead.Error()}
	}
	return a.elasticsearch.Read(ctx, t)
}

func (a asked) Write(ctx context.Context, t esgate.Target, c esgate.Change) error {
	if a.daemon.dead.Load() {
		return errDead
	}
	return a.elasticsearch.Write(ctx, t, c)
}
