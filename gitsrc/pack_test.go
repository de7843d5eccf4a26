package gitsrc

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"testing"
)

// packOf writes a pack by hand: git's own tools would not make these.
func packOf(objects ...[]byte) []byte {
	b := append([]byte("PACK"), 0, 0, 0, 2)
	b = binary.BigEndian.AppendUint32(b, uint32(len(objects)))
	for _, o := range objects {
		b = append(b, o...)
	}
	sum := sha1.Sum(b)
	return append(b, sum[:]...)
}

func objectHead(typ byte, size uint64) []byte {
	b := []byte{typ<<4 | byte(size&15)}
	for size >>= 4; size > 0; size >>= 7 {
		b[len(b)-1] |= 0x80
		b = append(b, byte(size&127))
	}
	return b
}

func deflated(content []byte) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	_, _ = z.Write(content)
	_ = z.Close()
	return b.Bytes()
}

func blob(content []byte) []byte {
	return append(objectHead(3, uint64(len(content))), deflated(content)...)
}

// refDelta is a delta against some object, that claims to grow to target.
func refDelta(target uint64) []byte {
	d := binary.AppendUvarint(nil, 4)
	d = append(binary.AppendUvarint(d, target), 0x90, 4) // copy four bytes of the base
	return append(append(objectHead(7, uint64(len(d))), make([]byte, 20)...), deflated(d)...)
}

func TestBombsAreFoundBeforeAnythingIsInflatedInMemory(t *testing.T) {
	lim := Limits{ObjectBytes: 1000, InflatedBytes: 2500}
	zeros := make([]byte, 900)
	lying := append(objectHead(3, 10), deflated(zeros)...)
	whole := packOf(blob([]byte("hello")), refDelta(10))
	for name, c := range map[string]struct {
		pack []byte
		want error
	}{
		"a good pack":                       {whole, nil},
		"a blob beyond the limit":           {packOf(blob(make([]byte, 1001))), errTooLarge},
		"a delta that grows beyond it":      {packOf(refDelta(1 << 40)), errTooLarge},
		"many deltas, each just below":      {packOf(refDelta(900), refDelta(900), refDelta(900)), errTooLarge},
		"a blob larger than it says":        {packOf(lying), errHalf},
		"a delta without sizes":             {packOf(append(append(objectHead(7, 0), make([]byte, 20)...), deflated(nil)...)), errHalf},
		"more objects than there can be":    {append([]byte("PACK\x00\x00\x00\x02\xff\xff\xff\xff"), make([]byte, 20)...), errTooLarge},
		"fewer objects than announced":      {append([]byte("PACK\x00\x00\x00\x02\x00\x00\x00\x05"), make([]byte, 20)...), errHalf},
		"no closing checksum":               {whole[:len(whole)-20], errHalf},
		"another closing checksum":          {append(bytes.Clone(whole[:len(whole)-1]), whole[len(whole)-1]^1), errHalf},
		"another kind of file":              {[]byte("<html>"), errHalf},
		"nothing":                           {nil, errHalf},
		"a version that nobody has defined": {append([]byte("PACK\x00\x00\x00\x09\x00\x00\x00\x00"), make([]byte, 20)...), errHalf},
	} {
		t.Run(name, func(t *testing.T) {
			if err := checkPack(bytes.NewReader(c.pack), lim); !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}
