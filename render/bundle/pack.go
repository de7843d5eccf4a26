package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds of what Unpack accepts. A bundle comes back from a live app that anybody with access to Marathon may have
// edited, so a few hundred bytes must not become gigabytes.
const (
	MaxFiles    = 4096
	MaxFile     = 8 << 20  // bytes of one file
	MaxUnpacked = 32 << 20 // bytes of all files
	MaxPacked   = 4 << 20  // bytes of the archive
)

// File modes that a bundle knows. Everything else is mapped to one of them, so that a checkout's umask changes nothing.
const (
	ModeFile       int64 = 0o644
	ModeExecutable int64 = 0o755
)

// epoch is every file's time: a real one would make a new bundle, and so a restart, out of unchanged content.
var epoch = time.Unix(0, 0).UTC()

// Pack makes a Bundle. Files may come in any order; equal sets give equal bytes. It refuses paths that are absolute,
// not clean, not valid UTF-8 or twice there, a path that is both a file and a folder, and files beyond the bounds.
func Pack(files []File) (*Bundle, error) {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	for i, f := range files {
		files[i].Mode = mode(f.Mode)
	}
	if err := check(files); err != nil {
		return nil, fmt.Errorf("pack bundle: %w", err)
	}
	packed, err := archive(files)
	if err != nil {
		return nil, fmt.Errorf("pack bundle: %w", err)
	}
	if len(packed) > MaxPacked {
		return nil, fmt.Errorf("pack bundle: %d bytes packed, at most %d are possible", len(packed), MaxPacked)
	}
	return &Bundle{Files: files, Digest: digest(packed), Packed: packed}, nil
}

// Unpack reads an archive that Pack made. It trusts nothing: sizes are bounded while reading, and only plain files with
// the paths that Pack allows are accepted.
func Unpack(packed []byte) (*Bundle, error) {
	files, err := unarchive(packed)
	if err != nil {
		return nil, fmt.Errorf("unpack bundle: %w", err)
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	if err := check(files); err != nil {
		return nil, fmt.Errorf("unpack bundle: %w", err)
	}
	return &Bundle{Files: files, Digest: digest(packed), Packed: packed}, nil
}

// File finds a file by its path.
func (b *Bundle) File(name string) (File, bool) {
	i, ok := slices.BinarySearchFunc(b.Files, name, func(f File, p string) int { return strings.Compare(f.Path, p) })
	if !ok {
		return File{}, false
	}
	return b.Files[i], true
}

// Largest lists up to n files, the biggest first, for a message that says what to make smaller.
func (b *Bundle) Largest(n int) []File {
	files := slices.Clone(b.Files)
	slices.SortStableFunc(files, func(x, y File) int { return len(y.Content) - len(x.Content) })
	return files[:min(n, len(files))]
}

func digest(packed []byte) string {
	sum := sha256.Sum256(packed)
	return hex.EncodeToString(sum[:])
}

func mode(m int64) int64 {
	if m&0o111 != 0 {
		return ModeExecutable
	}
	return ModeFile
}

// compressors are used again: a new one costs more than what it has to pack, over a megabyte of tables.
var compressors = sync.Pool{New: func() any {
	zw, err := gzip.NewWriterLevel(io.Discard, gzip.BestCompression)
	if err != nil {
		panic(err) // the level is one that gzip knows
	}
	return zw
}}

func archive(files []File) ([]byte, error) {
	var buf bytes.Buffer
	zw := compressors.Get().(*gzip.Writer)
	defer compressors.Put(zw)
	zw.Reset(&buf)
	zw.OS = 255 // the header is left empty: no name, no time, and the "unknown" operating system, on every machine
	tw := tar.NewWriter(zw)
	for _, f := range files {
		// PAX rather than GNU for long names: busybox tar reads both, and Go picks USTAR wherever that suffices.
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.Path, Mode: f.Mode, Size: int64(len(f.Content)), ModTime: epoch}
		if err := tw.WriteHeader(h); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		if _, err := tw.Write(f.Content); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	if err := errors.Join(tw.Close(), zw.Close()); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func unarchive(packed []byte) ([]File, error) {
	if len(packed) > MaxPacked {
		return nil, fmt.Errorf("%d bytes packed, at most %d are accepted", len(packed), MaxPacked)
	}
	zr, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	// The sum is checked file by file below; this bounds what is spent on headers as well.
	tr := tar.NewReader(io.LimitReader(zr, MaxUnpacked+MaxFile+MaxFiles*4096))
	var files []File
	total := 0
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		if h.Typeflag == tar.TypeDir {
			continue // made by a tar of someone's own; folders follow from the files
		}
		if h.Typeflag != tar.TypeReg {
			return nil, fmt.Errorf("%q is not a plain file", h.Name)
		}
		if len(files) == MaxFiles {
			return nil, fmt.Errorf("more than %d files", MaxFiles)
		}
		content, err := io.ReadAll(io.LimitReader(tr, MaxFile+1))
		if err != nil {
			return nil, fmt.Errorf("%q: %w", h.Name, err)
		}
		if total += len(content); total > MaxUnpacked {
			return nil, fmt.Errorf("more than %d bytes unpacked", MaxUnpacked)
		}
		files = append(files, File{Path: h.Name, Mode: mode(h.Mode), Content: content})
	}
}

// check holds for sorted files on the way in and on the way out.
func check(files []File) error {
	if len(files) > MaxFiles {
		return fmt.Errorf("%d files, at most %d are possible", len(files), MaxFiles)
	}
	seen := make(map[string]bool, len(files))
	total := 0
	for _, f := range files {
		if err := checkPath(f.Path); err != nil {
			return err
		}
		if len(f.Content) > MaxFile {
			return fmt.Errorf("%s is larger than %d bytes", f.Path, MaxFile)
		}
		if total += len(f.Content); total > MaxUnpacked {
			return fmt.Errorf("more than %d bytes in all", MaxUnpacked)
		}
		if seen[f.Path] {
			return fmt.Errorf("%s is there twice", f.Path)
		}
		seen[f.Path] = true
	}
	for _, f := range files {
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			if seen[dir] {
				return fmt.Errorf("%s is a file and also the folder of %s", dir, f.Path)
			}
		}
	}
	return nil
}

func checkPath(p string) error {
	switch {
	case p == "" || p == ".":
		return errors.New("a file has no path")
	case len(p) > 1024:
		return fmt.Errorf("%.40q… is longer than 1024 bytes", p)
	case !utf8.ValidString(p) || strings.ContainsAny(p, "\x00\n\r\\"):
		return fmt.Errorf("%q holds characters that are not allowed in a path", p)
	case path.IsAbs(p) || path.Clean(p) != p || p == ".." || strings.HasPrefix(p, "../"):
		return fmt.Errorf("%q is not a clean relative path", p)
	}
	return nil
}
