package gitsrc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/esfleet/esfleet/gitsrc/snapshot"
)

// A Dir follows a plain directory. Each Refresh reads it whole, into memory, so a Snapshot does not change under its
// reader.
type Dir struct {
	root  string
	opts  Options
	wake  chan struct{}
	watch *watcher

	mu      sync.Mutex
	current Result
}

// OpenDir follows o.Dir. The directory need not exist yet: then Refresh says so, and Wake comes when it appears.
func OpenDir(o Options) (*Dir, error) {
	o = o.withDefaults()
	root, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open directory: %w", err)
	}
	d := &Dir{root: root, opts: o, wake: make(chan struct{}, 1)}
	if d.watch, err = watchTree(root, o.Limits, o.PollEvery, d.Poke); err != nil {
		return nil, err
	}
	return d, nil
}

// Current implements Source.
func (d *Dir) Current() Result {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.current
	r.Changed = false
	return r
}

// Wake implements Source.
func (d *Dir) Wake() <-chan struct{} { return d.wake }

// Poke implements Source.
func (d *Dir) Poke() { poke(d.wake) }

// Close implements Source. Snapshots stay readable.
func (d *Dir) Close() error { return d.watch.close() }

// Refresh implements Source.
func (d *Dir) Refresh(ctx context.Context) Result {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, err := readDir(ctx, d.root, d.opts.Limits)
	d.current.Refusal = d.explain(err)
	r := d.current
	if err != nil {
		return r
	}
	r.Changed = r.Snapshot == nil || r.Snapshot.Commit != s.Commit
	r.FetchedAt = d.opts.Now()
	if r.Changed {
		r.Snapshot = s
	}
	d.current = r
	d.current.Changed = false
	return r
}

func (d *Dir) explain(err error) *Refusal {
	if err == nil {
		return nil
	}
	var r *Refusal
	switch {
	case errors.As(err, &r):
	case errors.Is(err, errTooLarge):
		r = refuse(TooLarge, "keep only the fleet's own files there, or raise the limit", "%v", err)
	case errors.Is(err, errChanging):
		r = refuse(Changing, "it is read again", "%v", err)
	default:
		r = refuse(Unreachable, "check the path and its permissions", "%v", err)
	}
	c := *r
	c.Origin = d.root
	return &c
}

var errChanging = errors.New("it changed while it was read")

// readDir reads every regular file below root, and lists what is none of them without following or opening it.
func readDir(ctx context.Context, root string, lim Limits) (*snapshot.Snapshot, error) {
	// os.Root makes sure that no path component can lead out, even if one is exchanged for a link in mid-read.
	rt, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	defer rt.Close()
	r := &dirReader{ctx: ctx, root: rt, lim: lim, mem: snapshot.Memory{}}
	if err := fs.WalkDir(rt.FS(), ".", r.visit); err != nil {
		return nil, err
	}
	s := snapshot.New("", r.entries, r.mem)
	s.Commit = "dir:" + digest(s.Entries)
	if e, ok := s.Lookup(FleetFile); !ok || e.Kind != snapshot.File && e.Kind != snapshot.Executable {
		return nil, refuse(Emptied, "give the directory in which "+FleetFile+" lies", "it holds no %s", FleetFile)
	}
	return s, nil
}

func digest(entries []snapshot.Entry) string {
	h := sha256.New()
	for _, e := range entries {
		fmt.Fprintf(h, "%s\x00%d\x00%s\x00", e.Path, e.Kind, e.Blob)
	}
	return hex.EncodeToString(h.Sum(nil))[:40]
}

type dirReader struct {
	ctx     context.Context
	root    *os.Root
	lim     Limits
	mem     snapshot.Memory
	entries []snapshot.Entry
	visited int
	bytes   int64
}

func (r *dirReader) visit(path string, d fs.DirEntry, err error) error {
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && path != "." {
			return fmt.Errorf("%w: %s vanished", errChanging, path)
		}
		return err
	}
	if err := r.ctx.Err(); err != nil {
		return err
	}
	if path == "." {
		return nil
	}
	if r.visited++; r.visited > r.lim.Entries {
		return fmt.Errorf("%w: more than %d files and folders", errTooLarge, r.lim.Entries)
	}
	switch {
	case d.Name() == ".git": // a folder in a clone, a file in a linked work tree
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	case d.IsDir():
		if depth(path) > r.lim.Depth {
			return fmt.Errorf("%w: folders nest deeper than %d", errTooLarge, r.lim.Depth)
		}
		return nil
	case d.Type()&fs.ModeSymlink != 0:
		return r.link(path)
	case !d.Type().IsRegular():
		r.entries = append(r.entries, snapshot.Entry{Path: path, Kind: snapshot.Other})
		return nil
	}
	return r.file(path)
}

func depth(path string) int {
	n := 1
	for _, c := range path {
		if c == '/' {
			n++
		}
	}
	return n
}

func (r *dirReader) link(path string) error {
	target, err := r.root.Readlink(path)
	if err != nil {
		return fmt.Errorf("%w: %w", errChanging, err)
	}
	r.keep(path, snapshot.Symlink, []byte(target)) // as git stores it
	return nil
}

func (r *dirReader) file(path string) error {
	f, err := r.root.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s vanished", errChanging, path)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%w: %s became something else", errChanging, path)
	}
	content, err := io.ReadAll(io.LimitReader(f, r.lim.FileBytes+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(content)) > r.lim.FileBytes {
		return fmt.Errorf("%w: %s has more than %d bytes", errTooLarge, path, r.lim.FileBytes)
	}
	if r.bytes += int64(len(content)); r.bytes > r.lim.TotalBytes {
		return fmt.Errorf("%w: the files together have more than %d bytes", errTooLarge, r.lim.TotalBytes)
	}
	kind := snapshot.File
	if info.Mode()&0o100 != 0 {
		kind = snapshot.Executable
	}
	r.keep(path, kind, content)
	return nil
}

func (r *dirReader) keep(path string, k snapshot.Kind, content []byte) {
	id := snapshot.BlobIDOf(content)
	r.mem[id] = content
	r.entries = append(r.entries, snapshot.Entry{Path: path, Kind: k, Blob: id, Size: int64(len(content))})
}
