package pretend

import "math/bits"

// A docset is the writes that a copy holds, by their number in the shard. The zero value is empty.
type docset []uint64

func (d docset) has(n int) bool { return n/64 < len(d) && d[n/64]&(1<<(n%64)) != 0 }

func (d *docset) add(n int) {
	for n/64 >= len(*d) {
		*d = append(*d, 0)
	}
	(*d)[n/64] |= 1 << (n % 64)
}

func (d docset) clone() docset { return append(docset(nil), d...) }

// count is the number of writes.
func (d docset) count() int {
	n := 0
	for _, w := range d {
		n += bits.OnesCount64(w)
	}
	return n
}

// holds says that every write of o is in d.
func (d docset) holds(o docset) bool {
	for i, w := range o {
		if i >= len(d) && w != 0 || i < len(d) && w&^d[i] != 0 {
			return false
		}
	}
	return true
}
