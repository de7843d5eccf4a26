package oplog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// A damageError is a file that is there but not a whole log.
type damageError struct{ what string }

func (d damageError) Error() string { return "the file is damaged: " + d.what }

func damage(format string, args ...any) error { return damageError{fmt.Sprintf(format, args...)} }

func isDamage(err error) bool {
	var d damageError
	return errors.As(err, &d)
}

// guarded turns panics into errors. bbolt panics on pages that make no sense, and reads through a memory map, where a
// page that is not there is a fault: normally the end of the process.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = damage("%v", p)
		}
	}()
	return f()
}

// writerPatience covers a restart whose predecessor is just letting go; a reader does not wait at all.
const writerPatience = 500 * time.Millisecond

// lockFile keeps a second writer away before anything of the log is judged: a file that another process is just writing
// looks damaged, and would be set aside under its hands. bbolt's own lock comes too late for that. A reader of a log
// whose lock file is not there (a copy) needs none.
func lockFile(path string, readOnly bool) (*os.File, error) {
	flag, how, patience := os.O_RDWR|os.O_CREATE, syscall.LOCK_EX, writerPatience
	if readOnly {
		flag, how, patience = os.O_RDONLY, syscall.LOCK_SH, 0
	}
	f, err := os.OpenFile(path+".lock", flag, 0o600)
	if readOnly && errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB); err == nil {
			return f, nil
		}
		if !time.Now().Before(until) {
			_ = f.Close()
			return nil, ErrBusy
		}
	}
}

// openFile opens a log and proves that every page and event of it is there.
func openFile(path string, readOnly bool) (*bolt.DB, error) {
	var file *os.File
	o := &bolt.Options{ReadOnly: readOnly, Timeout: writerPatience, OpenFile: func(name string, flag int, mode os.FileMode) (*os.File, error) {
		f, err := os.OpenFile(name, flag, mode)
		file = f
		return f, err
	}}
	if readOnly {
		o.Timeout = time.Nanosecond
	}
	var db *bolt.DB
	err := complete(path)
	if err == nil {
		err = guarded(func() (err error) {
			if db, err = bolt.Open(path, 0o600, o); err != nil {
				return err
			}
			return prove(db)
		})
	}
	if err == nil {
		return db, nil
	}
	if db != nil {
		_ = guarded(db.Close)
	} else if file != nil {
		_ = file.Close() // a panic within Open keeps the file, and with it the lock
	}
	return nil, classify(err)
}

func classify(err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrBusy
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch):
		return damage("%v", err)
	}
	return err
}

// prove reads everything once: first the chain, on this guarded goroutine, then bbolt's own check of pages and of the
// free list, which runs on one of its own.
func prove(db *bolt.DB) error {
	return db.View(func(tx *bolt.Tx) error {
		if err := verify(tx); err != nil {
			return err
		}
		var first error
		for err := range tx.Check() {
			if first == nil {
				first = damage("%v", err)
			}
		}
		return first
	})
}

// The layout of bbolt's two meta pages, as far as complete needs it: a page header of 16 bytes, then these fields.
const (
	metaAt       = 16
	metaSum      = 56 // offset of the checksum, over all before it
	metaSize     = 64
	metaMagic    = 0xED0CDAED
	smallestPage = 1024
	largestPage  = 1 << 20
)

// complete compares the file's size with the pages that its newest meta page speaks of. bbolt does not, and a read of a
// page that a truncated file no longer has would kill the process.
func complete(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	switch {
	case !info.Mode().IsRegular():
		return fmt.Errorf("not a regular file")
	case info.Size() == 0:
		return nil // made, but killed before the first write
	}
	need, ok := pagesNeeded(f)
	if !ok {
		return damage("it has no valid first page")
	}
	if info.Size() < need {
		return damage("it has %d bytes of at least %d", info.Size(), need)
	}
	return nil
}

// pagesNeeded is the size in bytes that the newest valid meta page asks for.
func pagesNeeded(f io.ReaderAt) (need int64, ok bool) {
	var newest uint64
	try := func(at int64) (pageSize int64) {
		var b [metaSize]byte
		if _, err := f.ReadAt(b[:], at+metaAt); err != nil {
			return 0
		}
		h := fnv.New64a()
		h.Write(b[:metaSum])
		if binary.NativeEndian.Uint32(b[0:]) != metaMagic || binary.NativeEndian.Uint64(b[metaSum:]) != h.Sum64() {
			return 0
		}
		pageSize = int64(binary.NativeEndian.Uint32(b[8:]))
		pages, tx := binary.NativeEndian.Uint64(b[40:]), binary.NativeEndian.Uint64(b[48:])
		if !ok || tx >= newest {
			newest, need, ok = tx, int64(pages)*pageSize, true
		}
		return pageSize
	}
	if size := try(0); size > 0 {
		try(size)
		return need, ok
	}
	for size := int64(smallestPage); size <= largestPage && !ok; size *= 2 {
		try(size)
	}
	return need, ok
}

// setAside renames the damaged file to a free name beside it.
func setAside(path string, why error) (string, error) {
	for n := 1; ; n++ {
		to := fmt.Sprintf("%s.damaged-%d", path, n)
		if _, err := os.Lstat(to); err == nil {
			continue
		}
		if err := os.Rename(path, to); err != nil {
			return "", fmt.Errorf("%w; it could not be set aside: %w", why, err)
		}
		return filepath.Clean(to), nil
	}
}
