package discovery

import (
	"encoding/json"
	"net/http"
	"sync"
	"time"
)

// A status is what /healthz tells. It is safe for concurrent use.
type status struct {
	mu        sync.Mutex
	lastRead  time.Time
	missing   int
	away      string // why Marathon cannot be read, "" if it can
	refused   string // why the newest configuration is not in force, "" if it is
	installs  int
	inForce   Fronts // of the configuration in force
	isRunning func() bool
}

// looked notes how reading Marathon went.
func (s *status) looked(at time.Time, missing int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.away = err.Error()
		return
	}
	s.lastRead, s.missing, s.away = at, missing, ""
}

func (s *status) rejected(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = err.Error()
}

func (s *status) accepted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = ""
}

func (s *status) installed(f Fronts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inForce = f
	s.installs++
}

// A Health is the answer of /healthz.
type Health struct {
	HAProxy bool `json:"haproxy"`           // it runs
	Servers int  `json:"servers"`           // of the ring, in the configuration in force
	Clients int  `json:"clients,omitempty"` // servers of the front for clients, of which
	Out     int  `json:"out,omitempty"`     // so many get requests only if nobody else can
	Missing int  `json:"missing"`           // servers kept for want of proof that they are gone
	// LastReadingSeconds is the age of the last answer of Marathon, -1 if there was none.
	LastReadingSeconds float64 `json:"lastReadingSeconds"`
	Marathon           string  `json:"marathon,omitempty"` // why it cannot be read
	Refused            string  `json:"refused,omitempty"`  // why the newest configuration is not in force
	Reloads            int     `json:"reloads"`
}

func (s *status) health(now time.Time) Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := Health{HAProxy: s.isRunning(), Servers: len(s.inForce.Masters), Clients: len(s.inForce.Clients), Missing: s.missing, LastReadingSeconds: -1, Marathon: s.away, Refused: s.refused, Reloads: s.installs}
	for _, c := range s.inForce.Clients {
		if s.inForce.Detached[c.Instance] {
			h.Out++
		}
	}
	if !s.lastRead.IsZero() {
		h.LastReadingSeconds = now.Sub(s.lastRead).Seconds()
	}
	return h
}

// ServeHTTP answers 200 while HAProxy runs: a Marathon that is away is no reason for a Marathon to restart us.
func (s *status) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	h := s.health(time.Now())
	w.Header().Set("Content-Type", "application/json")
	if !h.HAProxy {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(h) // who went away learns nothing more
}
