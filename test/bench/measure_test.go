package bench

import (
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
)

// A cost is what one run of something took.
type cost struct {
	wall, cpu time.Duration // cpu is that of the whole process
	allocs    uint64
	bytes     uint64 // allocated
}

func once(f func()) cost {
	var before, after runtime.MemStats
	runtime.GC() // the garbage of others is not ours to collect
	runtime.ReadMemStats(&before)
	cpu, start := cpuTime(), time.Now()
	f()
	c := cost{wall: time.Since(start), cpu: cpuTime() - cpu}
	runtime.ReadMemStats(&after)
	c.allocs, c.bytes = after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	return c
}

func median(all []cost) cost {
	pick := func(f func(cost) int64) int64 {
		v := make([]int64, len(all))
		for i, c := range all {
			v[i] = f(c)
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return cost{
		wall: time.Duration(pick(func(c cost) int64 { return int64(c.wall) })), cpu: time.Duration(pick(func(c cost) int64 { return int64(c.cpu) })),
		allocs: uint64(pick(func(c cost) int64 { return int64(c.allocs) })), bytes: uint64(pick(func(c cost) int64 { return int64(c.bytes) })),
	}
}

// cpuTime is what this process has used so far, in user and kernel mode.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// beside runs f and floor in turn, so that a busy machine slows both, and gives the median of each.
func beside(rounds int, f, floor func()) (ours, least cost) {
	var a, b []cost
	for i := range rounds {
		if i%2 == 0 {
			a, b = append(a, once(f)), append(b, once(floor))
		} else {
			b, a = append(b, once(floor)), append(a, once(f))
		}
	}
	return median(a), median(b)
}

// floor is one GET of the list and one hash pass over its bytes: what anybody pays who wants to know whether anything changed.
func floor(t testing.TB, via http.RoundTripper) func() {
	buf := make([]byte, 64<<10)
	return func() {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://marathon.test:8080/v2/apps", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := via.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		h := sha256.New()
		for {
			n, err := res.Body.Read(buf)
			_, _ = h.Write(buf[:n])
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
