package marathonsim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A FaultKind names something that goes wrong.
type FaultKind string

// Faults of a request, chosen by Fault.Nth.
const (
	RequestLost FaultKind = "request-lost" // it never arrives
	RequestLate FaultKind = "request-late" // it arrives For later, and is carried out even if its sender has given up
	AnswerLost  FaultKind = "answer-lost"  // the work is done, the answer never arrives
	AnswerLate  FaultKind = "answer-late"  // the work is done at once, the answer arrives For later
	AnswerCut   FaultKind = "answer-cut"   // the answer ends in its middle
	ErrorBefore FaultKind = "error-before" // a proxy answers 503 and does not pass the request on
	ErrorAfter  FaultKind = "error-after"  // the work is done, a proxy answers 502
	StaleReads  FaultKind = "stale-reads"  // for For, Marathon's reads are answered as they were Back versions ago
	LeaderDies  FaultKind = "leader-dies"  // once the work is done and before it is answered
)

// Faults of the world, chosen by Fault.At.
const (
	LeaderChanges FaultKind = "leader-changes"
	AgentVanishes FaultKind = "agent-vanishes" // and returns For later, with its tasks
	LaunchesFail  FaultKind = "launches-fail"  // the next Count of them
	OffersStop    FaultKind = "offers-stop"    // for For
	TaskDies      FaultKind = "task-dies"      // the Count-th that runs
	TasksCrash    FaultKind = "tasks-crash"    // those of the app Name, again and again, for For
)

// Faults of an event, chosen by Fault.Nth.
const (
	EventLost    FaultKind = "event-lost"
	EventDoubled FaultKind = "event-doubled"
	EventSwapped FaultKind = "event-swapped" // it comes after the one behind it
)

// FaultKinds are all of them.
func FaultKinds() []FaultKind {
	return slices.Concat(requestFaults, worldFaults, eventFaults)
}

var (
	requestFaults = []FaultKind{RequestLost, RequestLate, AnswerLost, AnswerLate, AnswerCut, ErrorBefore, ErrorAfter, StaleReads, LeaderDies}
	worldFaults   = []FaultKind{LeaderChanges, AgentVanishes, LaunchesFail, OffersStop, TaskDies, TasksCrash}
	eventFaults   = []FaultKind{EventLost, EventDoubled, EventSwapped}
)

// A Fault is one thing that goes wrong, once. It is data: a script of them can be printed, cut down and run again.
type Fault struct {
	Kind FaultKind `json:"kind"`
	// Nth counts from 1 the requests that fit Method and Path, or the events of all streams.
	Nth    int    `json:"nth,omitempty"`
	Method string `json:"method,omitempty"` // empty: any
	Path   string `json:"path,omitempty"`   // how the path begins; empty: any
	// At is when a fault of the world happens, after the script began.
	At    time.Duration `json:"at,omitempty"`
	For   time.Duration `json:"for,omitempty"`
	Back  int           `json:"back,omitempty"`
	Count int           `json:"count,omitempty"`
	Name  string        `json:"name,omitempty"` // of an agent (its host) or app
}

// String is the fault in a few words: "answer-lost of POST /v2/apps 3".
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(string(f.Kind))
	if f.Nth > 0 {
		fmt.Fprintf(&b, " of %s %d", strings.TrimSpace(f.Method+" "+f.Path), f.Nth)
	} else {
		fmt.Fprintf(&b, " at %s", f.At)
	}
	if f.Name != "" {
		b.WriteString(" " + f.Name)
	}
	if f.For > 0 {
		fmt.Fprintf(&b, " for %s", f.For)
	}
	if f.Back > 0 {
		fmt.Fprintf(&b, " %d back", f.Back)
	}
	if f.Count > 0 {
		fmt.Fprintf(&b, " × %d", f.Count)
	}
	return b.String()
}

// Check says what is wrong with the fault; nil if it can happen.
func (f Fault) Check() error {
	switch {
	case slices.Contains(worldFaults, f.Kind):
		if f.Nth != 0 || f.Method != "" || f.Path != "" {
			return fmt.Errorf("%s happens at a time: give At, not a request", f.Kind)
		}
	case !slices.Contains(requestFaults, f.Kind) && !slices.Contains(eventFaults, f.Kind):
		return fmt.Errorf("no fault is called %q; write one of %v", f.Kind, FaultKinds())
	case f.Nth < 1:
		return fmt.Errorf("%s needs Nth, which counts from 1", f.Kind)
	}
	if f.For < 0 || f.At < 0 || f.Back < 0 || f.Count < 0 {
		return fmt.Errorf("%s: nothing of it can be negative", f.Kind)
	}
	needs := map[FaultKind]bool{RequestLate: true, AnswerLate: true, StaleReads: true, AgentVanishes: true, OffersStop: true, TasksCrash: true}
	if needs[f.Kind] && f.For == 0 {
		return fmt.Errorf("%s needs For, how long", f.Kind)
	}
	if (f.Kind == AgentVanishes || f.Kind == TasksCrash) && f.Name == "" {
		return fmt.Errorf("%s needs a Name", f.Kind)
	}
	return nil
}

var (
	errLost = errors.New("connection reset by peer")
	errCut  = errors.New("unexpected end of the answer")
)
