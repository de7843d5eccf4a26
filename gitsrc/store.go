package gitsrc

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// Private references: they keep what we need reachable when the mirror is repacked, and no fetched name can be one.
const (
	refAccepted plumbing.ReferenceName = "refs/esfleet/accepted"
	refSeen     plumbing.ReferenceName = "refs/esfleet/seen"
)

// A record is what the mirror remembers durably. It is a file of its own, not a reference, because go-git writes those
// in place: a torn one would forget the accepted commit, and then any rewrite would look like a first fetch.
type record struct {
	Branch      string    `json:"branch"`
	Commit      string    `json:"commit"`
	ConfirmedAt time.Time `json:"confirmedAt"`
}

// A store is the bare mirror on disk. It has no locks of its own: go-git's storer is not safe for concurrent use, not
// even for reads, so a Mirror guards it.
type store struct {
	dir  string
	lock *os.File
	*filesystem.Storage
	packs int
}

const recordFile = "esfleet.json"

func openStore(dir string) (_ *store, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open mirror: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "esfleet.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open mirror: %w", err)
	}
	defer func() {
		if err != nil {
			_ = lock.Close()
		}
	}()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("open mirror %s: %w; give this one a directory of its own", dir, ErrBusy)
	}
	s := &store{dir: dir, lock: lock}
	s.sweep()
	if err := s.reopen(); err != nil {
		return nil, err
	}
	return s, nil
}

// sweep removes what a killed process left half-done.
func (s *store) sweep() {
	for _, pattern := range []string{incoming, "objects/pack/tmp_*", recordFile + ".*", "rebuild"} {
		left, _ := filepath.Glob(filepath.Join(s.dir, pattern))
		for _, f := range left {
			_ = os.RemoveAll(f)
		}
	}
}

// reopen opens the objects afresh; after packs have been replaced go-git's open handle would look for the old ones.
func (s *store) reopen() error {
	if s.Storage != nil {
		_ = s.Storage.Close()
	}
	st, err := openStorage(s.dir)
	if err != nil {
		return fmt.Errorf("open mirror %s: %w", s.dir, err)
	}
	s.Storage = st
	packs, err := st.ObjectPacks()
	s.packs = len(packs)
	return err
}

// objectCache is for the objects that others are deltas of. Most are small and cost some three times their size there.
const objectCache = 512 * cache.KiByte

func openStorage(dir string) (*filesystem.Storage, error) {
	st := filesystem.NewStorageWithOptions(osfs.New(dir, osfs.WithBoundOS()), cache.NewObjectLRU(objectCache),
		filesystem.Options{KeepDescriptors: true})
	if _, err := st.Reference(plumbing.HEAD); errors.Is(err, plumbing.ErrReferenceNotFound) {
		if _, err := git.Init(st, nil); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	return st, nil
}

func (s *store) close() error {
	err := s.Storage.Close()
	return errors.Join(err, s.lock.Close())
}

// readRecord gives the zero record for a new mirror. An unreadable record is an error, never a fresh start.
func (s *store) readRecord() (record, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, recordFile))
	if errors.Is(err, os.ErrNotExist) {
		return record{}, nil
	}
	var r record
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err == nil && (!fullCommit.MatchString(r.Commit) || r.Branch == "") {
		err = errors.New("it names no commit")
	}
	if err != nil {
		return record{}, fmt.Errorf("read %s, which remembers the last accepted commit: %w; look at the branch's history, then remove the mirror directory to trust its head anew",
			filepath.Join(s.dir, recordFile), err)
	}
	return r, nil
}

func (s *store) writeRecord(r record) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	path := filepath.Join(s.dir, recordFile)
	f, err := os.CreateTemp(s.dir, recordFile+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("remember the accepted commit: %w", err)
	}
	return syncPath(s.dir)
}

func (s *store) hash(ref plumbing.ReferenceName) plumbing.Hash {
	r, err := s.Reference(ref)
	if err != nil {
		return plumbing.ZeroHash // at worst something is fetched once more
	}
	return r.Hash()
}

// adopt makes a checked pack part of the mirror, durably.
func (s *store) adopt(pack *os.File) error {
	if err := adoptPack(s.Storage, s.dir, pack); err != nil {
		s.sweep()
		return err
	}
	s.packs++
	return nil
}

func adoptPack(st *filesystem.Storage, dir string, pack *os.File) error {
	w, err := st.PackfileWriter()
	if err != nil {
		return err
	}
	_, err = io.Copy(w, pack)
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	// go-git does not sync; a record that outlives its objects would have to be mended by a full fetch.
	var sum [20]byte
	info, err := pack.Stat()
	if err != nil {
		return err
	}
	if _, err := pack.ReadAt(sum[:], info.Size()-int64(len(sum))); err != nil {
		return err
	}
	base := filepath.Join(dir, "objects", "pack", "pack-"+hex.EncodeToString(sum[:]))
	for _, p := range []string{base + ".pack", base + ".idx", filepath.Dir(base)} {
		if err := syncPath(p); err != nil {
			return err
		}
	}
	return nil
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// repackAt is how many packs may pile up: each costs an open file and a lookup.
const repackAt = 50

// repack merges the packs into one of everything reachable from our references.
func (s *store) repack() error {
	repo, err := git.Open(s.Storage, nil)
	if err == nil {
		err = repo.RepackObjects(&git.RepackConfig{})
	}
	return errors.Join(err, s.reopen())
}

// rebuild replaces all objects by those of a pack that holds the whole history of head, after check has found them
// good; until then the old ones stay.
func (s *store) rebuild(pack *os.File, check func(objects) error) error {
	dir := filepath.Join(s.dir, "rebuild")
	defer os.RemoveAll(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	fresh, err := openStorage(dir)
	if err != nil {
		return err
	}
	err = adoptPack(fresh, dir, pack)
	if err == nil {
		err = check(fresh)
	}
	_ = fresh.Close()
	if err != nil {
		return err
	}
	old := filepath.Join(s.dir, "objects")
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, "objects"), old); err != nil {
		return err
	}
	return s.reopen()
}
