package spec

import (
	"encoding/binary"
	"iter"
	"maps"
	"slices"
	"strings"
)

// Origins says where each value of a Cluster was written: dotted path (nodes.data.memory …) to its place. A value from a
// built-in default has none. The zero value knows no place.
//
// They would be most of a parsed fleet's memory, and hardly ever are they asked for. So the places are numbers, the files
// stand aside, and clusters that are written alike share all but the files' names.
type Origins struct {
	files []string
	paths []string // sorted
	spots []spot   // of each path
}

// A spot is a place within one of the files.
type spot struct{ file, line, column uint32 }

// OriginsOf makes Origins of places by path.
func OriginsOf(places map[string]Pos) Origins {
	return (&pool{}).origins(places)
}

// At is where the value of a path was written; ok is false for a built-in default.
func (o Origins) At(path string) (p Pos, ok bool) {
	i, ok := slices.BinarySearch(o.paths, path)
	if !ok {
		return Pos{}, false
	}
	return o.pos(i), true
}

// All are the paths that were written, sorted, with their places.
func (o Origins) All() iter.Seq2[string, Pos] {
	return func(yield func(string, Pos) bool) {
		for i, path := range o.paths {
			if !yield(path, o.pos(i)) {
				return
			}
		}
	}
}

// Equal says that both name the same places for the same paths.
func (o Origins) Equal(other Origins) bool {
	return slices.Equal(o.files, other.files) && slices.Equal(o.paths, other.paths) && slices.Equal(o.spots, other.spots)
}

func (o Origins) pos(i int) Pos {
	s := o.spots[i]
	return Pos{File: o.files[s.file], Line: int(s.line), Column: int(s.column)}
}

// origins packs places. Files are numbered in the order in which sorted paths name them, so that clusters written alike
// have the same numbers.
func (p *pool) origins(places map[string]Pos) Origins {
	var o Origins
	paths := slices.Sorted(maps.Keys(places))
	packed := make([]byte, 0, 12*len(paths))
	for _, path := range paths {
		pos := places[path]
		file := slices.Index(o.files, pos.File)
		if file < 0 {
			file, o.files = len(o.files), append(o.files, pos.File)
		}
		for _, n := range []int{file, pos.Line, pos.Column} {
			packed = binary.LittleEndian.AppendUint32(packed, uint32(n)) //nolint:gosec // bounded by the size of a file
		}
	}
	o.files = slices.Clip(o.files)
	o.paths = shared(&p.paths, strings.Join(paths, "\n"), func() []string { return paths })
	o.spots = shared(&p.spots, string(packed), func() []spot { return unpack(packed) })
	return o
}

func unpack(packed []byte) []spot {
	spots := make([]spot, 0, len(packed)/12)
	for ; len(packed) > 0; packed = packed[12:] {
		spots = append(spots, spot{binary.LittleEndian.Uint32(packed), binary.LittleEndian.Uint32(packed[4:]), binary.LittleEndian.Uint32(packed[8:])})
	}
	return spots
}
