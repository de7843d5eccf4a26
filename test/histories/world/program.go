package world

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

// moody does what the app's env MOOD says: "crash" as with a failing pre-run script, "hang" as with a wrong image.
func moody(t marathonsim.Task, usual marathonsim.Program) marathonsim.Program {
	switch t.Env["MOOD"] {
	case "crash":
		return crashing{}
	case "hang":
		return hanging{}
	}
	return usual
}

type crashing struct{ hanging }

func (crashing) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(500 * time.Millisecond):
		return errors.New("pre-run.sh ended with 1: vm.max_map_count is 65530 on this host")
	}
}

type hanging struct{}

func (hanging) Run(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func (hanging) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusServiceUnavailable)
}
