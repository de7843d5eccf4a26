package gitsrc

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fsnotify/fsnotify"
)

const pollEvery = 5 * time.Second

// virtual runs a watcher of root on events that the test sends, in virtual time.
func virtual(t *testing.T, root string) (events chan fsnotify.Event, errs chan error, told *atomic.Int32) {
	told = new(atomic.Int32)
	w := &watcher{root: root, lim: DefaultLimits(), every: pollEvery, done: make(chan struct{}), tell: func() { told.Add(1) }}
	events, errs = make(chan fsnotify.Event), make(chan error)
	ended := make(chan struct{})
	go func() { defer close(ended); w.loop(events, errs) }()
	t.Cleanup(func() { close(w.done); <-ended })
	return events, errs, told
}

func TestABurstOfEventsIsToldOnceWhenItHasSettled(t *testing.T) {
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		events, errs, told := virtual(t, root)
		for range 1000 {
			events <- fsnotify.Event{Name: filepath.Join(root, "fleet.yaml"), Op: fsnotify.Write}
			time.Sleep(time.Millisecond)
		}
		synctest.Wait()
		if told.Load() != 0 {
			t.Errorf("told %d times while files were still being written", told.Load())
		}
		time.Sleep(settle)
		synctest.Wait()
		if told.Load() != 1 {
			t.Errorf("told %d times of one burst", told.Load())
		}
		errs <- fsnotify.ErrEventOverflow
		time.Sleep(settle)
		synctest.Wait()
		if told.Load() != 2 {
			t.Error("lost events are not taken for a change")
		}
	})
}

func TestEventsOfGitAndOfNeighboursAreNoChange(t *testing.T) {
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		events, _, told := virtual(t, root)
		for _, name := range []string{root + "-neighbour", filepath.Join(root, ".git")} {
			events <- fsnotify.Event{Name: name, Op: fsnotify.Write}
		}
		time.Sleep(settle)
		synctest.Wait()
		if told.Load() != 0 {
			t.Errorf("told %d times", told.Load())
		}
		events <- fsnotify.Event{Name: root, Op: fsnotify.Create}
		time.Sleep(settle)
		synctest.Wait()
		if told.Load() != 1 {
			t.Error("the directory's own return is not told")
		}
	})
}

func TestPollingFindsWhatEventsDoNotTell(t *testing.T) {
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		_, _, told := virtual(t, root)
		synctest.Wait()
		if err := os.WriteFile(filepath.Join(root, "fleet.yaml"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		time.Sleep(pollEvery)
		synctest.Wait()
		if told.Load() != 1 {
			t.Errorf("told %d times of a change without events", told.Load())
		}
		time.Sleep(10 * pollEvery)
		synctest.Wait()
		if told.Load() != 1 {
			t.Errorf("told %d times although nothing more changed", told.Load())
		}
	})
}
