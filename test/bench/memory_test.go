package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/esfleet/esfleet/gitsrc"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/daemon"
	"github.com/esfleet/esfleet/spec"
)

// childVar tells a copy of the test program to be the process whose memory is measured: git's address and Marathon's.
const childVar = "ESFLEET_BENCH_CHILD"

func TestMain(m *testing.M) {
	if at := os.Getenv(childVar); at != "" {
		if err := child(at); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// A footprint is a process's memory in bytes.
type footprint struct{ ColdPeak, Resident, ResyncPeak int64 }

// memory measures a process of its own that follows git and looks at Marathon, both over sockets.
func (r *report) memory(t *testing.T, n int, git string, w *world) {
	srv := httptest.NewServer(w)
	defer srv.Close()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"="+git+" "+srv.URL)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var f footprint
	if err := json.Unmarshal(out, &f); err != nil {
		t.Fatal(err)
	}
	mib := func(b int64) string { return fmt.Sprintf("%d MiB", b>>20) }
	r.put(fmt.Sprintf("memory.%d", n), "%s", mib(f.Resident))
	r.put(fmt.Sprintf("memory.resync.%d", n), "%s", mib(f.ResyncPeak))
	r.put(fmt.Sprintf("memory.cold.%d", n), "%s", mib(f.ColdPeak))
	t.Logf("%d clusters: %+v", n, f)
}

// child is a daemon's life in short: the first look, and then looks at a fleet in which nothing changes.
func child(at string) error {
	git, marathon, _ := strings.Cut(at, " ")
	to, err := url.Parse(marathon)
	if err != nil {
		return err
	}
	debug.SetGCPercent(daemon.GCPercent)
	src, err := gitsrc.Open(context.Background(), gitsrc.Options{URL: git})
	if err != nil {
		return err
	}
	defer src.Close() //nolint:errcheck // the process ends
	state, err := os.MkdirTemp("", "esfleet-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(state)
	rec, cache := reconcilerIn(state, redirected{to}), &spec.Cache{}
	look := func() error {
		res := src.Refresh(context.Background())
		if res.Refusal != nil {
			return res.Refusal
		}
		f, problems := spec.Parse(res.Snapshot, cache)
		if f == nil {
			return fmt.Errorf("%v", problems[0])
		}
		if v := rec.Look(context.Background(), reconcile.Input{Fleet: f, Blobs: res.Snapshot}); !v.Converged() {
			return fmt.Errorf("not converged: %v, %v", unconverged(v), v.Unknown)
		}
		return nil
	}
	if err := look(); err != nil {
		return err
	}
	var f footprint
	f.ColdPeak = status("VmHWM")
	debug.FreeOSMemory() // what is resident once the first look's garbage is given back, as the runtime does within minutes
	f.Resident = status("VmRSS")
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return err
	}
	for range 5 {
		if err := look(); err != nil {
			return err
		}
	}
	f.ResyncPeak = status("VmHWM")
	return json.NewEncoder(os.Stdout).Encode(f)
}

// status is a line of /proc/self/status, in bytes.
func status(key string) int64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return -1
	}
	_, rest, _ := strings.Cut(string(b), key+":")
	line, _, _ := strings.Cut(rest, "kB")
	n, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil {
		return -1
	}
	return n << 10
}

// redirected sends every request to one address, whatever it names.
type redirected struct{ to *url.URL }

// RoundTrip implements http.RoundTripper.
func (d redirected) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = d.to.Scheme, d.to.Host
	return http.DefaultTransport.RoundTrip(r)
}
