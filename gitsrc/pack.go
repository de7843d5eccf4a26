package gitsrc

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// maxObjects bounds a pack's count of objects, for which the index keeps memory.
const maxObjects = 5_000_000

// checkPack reads a pack from end to end in constant memory and says whether it is whole and of bearable size, before
// go-git builds its index: a pack of a few kilobytes can inflate to gigabytes (A21), by compression or by deltas that
// copy their base again and again, and go-git itself accepts a pack without its closing checksum.
func checkPack(r io.ReadSeeker, lim Limits) error {
	sc := packfile.NewScanner(r)
	_, count, err := sc.Header()
	if err != nil {
		return fmt.Errorf("%w: %w", errHalf, err)
	}
	if count > maxObjects {
		return fmt.Errorf("%w: %d objects, at most %d are allowed", errTooLarge, count, maxObjects)
	}
	var total int64
	for range count {
		h, err := sc.NextObjectHeader()
		if err != nil {
			return fmt.Errorf("%w: %w", errHalf, err)
		}
		size, err := objectSize(sc, h, lim)
		if err != nil {
			return err
		}
		if total += size; total > lim.InflatedBytes {
			return fmt.Errorf("%w: its objects inflate to more than %d bytes", errTooLarge, lim.InflatedBytes)
		}
	}
	if _, err := sc.Checksum(); err != nil {
		return fmt.Errorf("%w: %w", errHalf, err)
	}
	_, err = r.Seek(0, io.SeekStart)
	return err
}

// objectSize inflates the next object and returns the size of what it becomes; for a delta that stands in its head.
func objectSize(sc *packfile.Scanner, h *packfile.ObjectHeader, lim Limits) (int64, error) {
	if h.Length > lim.ObjectBytes {
		return 0, fmt.Errorf("%w: an object of %d bytes, at most %d are allowed", errTooLarge, h.Length, lim.ObjectBytes)
	}
	head := &headBytes{}
	if _, _, err := sc.NextObject(head); err != nil {
		return 0, fmt.Errorf("%w: %w", errHalf, err)
	}
	if !isDelta(h.Type) {
		return h.Length, nil
	}
	target, err := deltaTarget(head.b.Bytes())
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errHalf, err)
	}
	if target > uint64(lim.ObjectBytes) {
		return 0, fmt.Errorf("%w: a delta grows to %d bytes, at most %d are allowed", errTooLarge, target, lim.ObjectBytes)
	}
	return max(int64(target), h.Length), nil
}

func isDelta(t plumbing.ObjectType) bool {
	return t == plumbing.OFSDeltaObject || t == plumbing.REFDeltaObject
}

// deltaTarget reads the second of the two sizes at the head of a delta: base, result.
func deltaTarget(head []byte) (uint64, error) {
	r := bufio.NewReader(bytes.NewReader(head))
	if _, err := binary.ReadUvarint(r); err != nil {
		return 0, errors.New("a delta without sizes")
	}
	n, err := binary.ReadUvarint(r)
	if err != nil {
		return 0, errors.New("a delta without sizes")
	}
	return n, nil
}

// headBytes keeps the first bytes written to it: enough for a delta's two sizes.
type headBytes struct{ b bytes.Buffer }

func (h *headBytes) Write(p []byte) (int, error) {
	if room := 2*binary.MaxVarintLen64 - h.b.Len(); room > 0 {
		h.b.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
