package gitsrc

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long a directory must be quiet: an editor's save is several events, a checkout is thousands.
const settle = 100 * time.Millisecond

// A watcher tells when something below a directory may have changed. It watches directories, never files: editors and
// mounts that swap a link replace the file, and a watch on the old one would go silent.
type watcher struct {
	root   string
	lim    Limits
	every  time.Duration
	tell   func()
	events *fsnotify.Watcher
	done   chan struct{}
	once   sync.Once
	ended  sync.WaitGroup
}

func watchTree(root string, lim Limits, every time.Duration, tell func()) (*watcher, error) {
	w := &watcher{root: root, lim: lim, every: every, tell: tell, done: make(chan struct{})}
	var err error
	if w.events, err = fsnotify.NewWatcher(); err != nil {
		w.events = nil // out of watches: polling still finds every change, only later
	}
	w.addAll()
	w.ended.Add(1)
	go w.run()
	return w, nil
}

func (w *watcher) close() error {
	w.once.Do(func() { close(w.done) })
	w.ended.Wait()
	return nil
}

// addAll watches the root's parent, to see the root being replaced, and every directory below the root. What cannot be
// watched is left to polling.
func (w *watcher) addAll() {
	if w.events == nil {
		return
	}
	_ = w.events.Add(filepath.Dir(w.root))
	n := 0
	_ = filepath.WalkDir(w.root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		if n++; d.Name() == ".git" || n > w.lim.Entries {
			return fs.SkipDir
		}
		_ = w.events.Add(path)
		return nil
	})
}

func (w *watcher) run() {
	defer w.ended.Done()
	if w.events == nil {
		w.loop(nil, nil)
		return
	}
	defer w.events.Close()
	w.loop(w.events.Events, w.events.Errors)
}

func (w *watcher) loop(events <-chan fsnotify.Event, errs <-chan error) {
	poll := time.NewTicker(w.every)
	defer poll.Stop()
	last := fingerprint(w.root, w.lim)
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	for {
		select {
		case <-w.done:
			return
		case e := <-events:
			if w.concerns(e) {
				quiet.Reset(settle)
			}
		case <-errs: // an overflow: something was missed
			quiet.Reset(settle)
		case <-poll.C:
			if now := fingerprint(w.root, w.lim); now != last {
				quiet.Reset(0)
			}
		case <-quiet.C:
			w.addAll()
			last = fingerprint(w.root, w.lim)
			w.tell()
		}
	}
}

// concerns drops the events of .git, of the root's neighbours, and of mere attribute changes like access times.
func (w *watcher) concerns(e fsnotify.Event) bool {
	if filepath.Dir(e.Name) == filepath.Dir(w.root) && e.Name != w.root {
		return false
	}
	return filepath.Base(e.Name) != ".git"
}

// fingerprint is cheap and coarse: names, sizes and times. It only has to differ when files do.
func fingerprint(root string, lim Limits) uint64 {
	const prime = 1099511628211
	sum := uint64(14695981039346656037)
	add := func(v uint64) { sum = (sum ^ v) * prime }
	n := 0
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			add(1)
			return nil
		}
		if d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		if n++; n > lim.Entries {
			return fs.SkipAll
		}
		for i := range len(path) {
			add(uint64(path[i]))
		}
		if info, err := os.Lstat(path); err == nil && !d.IsDir() {
			add(uint64(info.Size()))
			add(uint64(info.ModTime().UnixNano()))
			add(uint64(info.Mode()))
		}
		return nil
	})
	return sum
}
