package daemon

import (
	"context"
	"fmt"
	"sync"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/spec"
)

// streams keeps one stream of events open for each Marathon of the newest fleet. An event only wakes the loop: what
// happened, the look finds out. That events can be lost therefore costs time, never correctness.
type streams struct {
	connect func(spec.Marathon) (*marathonsink.Client, error)
	wake    func()
	fleets  chan *spec.Fleet // holds the newest one
}

// of hands over the newest fleet.
func (s *streams) of(f *spec.Fleet) {
	select {
	case <-s.fleets:
	default:
	}
	s.fleets <- f
}

// follow opens and closes streams as fleets come, until ctx ends; it returns when all of them have ended.
func (s *streams) follow(ctx context.Context) error {
	open := map[string]context.CancelFunc{}
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		var fleet *spec.Fleet
		select {
		case <-ctx.Done():
			return ctx.Err()
		case fleet = <-s.fleets:
		}
		wanted := map[string]bool{}
		for _, m := range fleet.Marathons {
			key := fmt.Sprint(m.URLs, m.Credentials)
			wanted[key] = true
			if open[key] != nil {
				continue
			}
			client, err := s.connect(m)
			if err != nil {
				continue // the look at this Marathon says so
			}
			var one context.Context
			one, open[key] = context.WithCancel(ctx)
			wg.Go(func() {
				for range client.Events(one) {
					s.wake()
				}
			})
		}
		for key, cancel := range open {
			if !wanted[key] {
				cancel()
				delete(open, key)
			}
		}
	}
}
