package marathonsink

import (
	"fmt"
	"iter"
	"maps"
	"os"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// heldByShelf is how many bytes of apps a shelf keeps in memory. Beyond it they go into a file, if there is a folder for it.
const heldByShelf = 8 << 20

// A shelf is a marathon.Shelf. Its file has no name: it ends with the process, however that ends.
type shelf struct {
	dir  string
	file *os.File
	held int64 // bytes in memory
	end  int64 // of the file
	apps map[marathon.AppID]place
}

// A place is where an app's bytes are: here, or that many from there on in the file.
type place struct {
	id   marathon.AppID
	here []byte
	from int64
	size int
}

// put takes in an app's bytes. What the disk does not take stays in memory: a full disk must not make a Marathon unknown.
func (s *shelf) put(span []byte) place {
	if s.held+int64(len(span)) > heldByShelf && s.dir != "" {
		if s.file == nil {
			s.file = nameless(s.dir)
		}
		if s.file != nil {
			if _, err := s.file.WriteAt(span, s.end); err == nil {
				s.end += int64(len(span))
				return place{from: s.end - int64(len(span)), size: len(span)}
			}
		}
	}
	s.held += int64(len(span))
	return place{here: append(make([]byte, 0, len(span)), span...)}
}

// nameless makes a file in dir that nobody else can open; nil if that cannot be done.
func nameless(dir string) *os.File {
	f, err := os.CreateTemp(dir, "apps-*")
	if err != nil {
		return nil
	}
	if err := os.Remove(f.Name()); err != nil {
		_ = f.Close()
		return nil
	}
	return f
}

// Open implements marathon.Shelf.
func (s *shelf) Open(id marathon.AppID) (*marathon.App, error) {
	p, ok := s.apps[id]
	if !ok {
		return nil, nil
	}
	span := p.here
	if span == nil {
		span = make([]byte, p.size)
		if _, err := s.file.ReadAt(span, p.from); err != nil {
			return nil, &Error{Op: "list apps", Kind: KindUnknown, Message: fmt.Sprintf("app %s was read and put aside, and cannot be read again", id), Err: err}
		}
	}
	app, err := parseSpan(span)
	if err != nil {
		return nil, &Error{Op: "list apps", Kind: KindUnknown, Message: "the answer cannot be read: " + clean(err.Error(), maxMessage), Err: err}
	}
	app.ID = p.id // which is in one piece of memory with all others
	return app, nil
}

// IDs implements marathon.Shelf.
func (s *shelf) IDs() iter.Seq[marathon.AppID] { return maps.Keys(s.apps) }

// Close implements marathon.Shelf.
func (s *shelf) Close() {
	if s.file != nil {
		_ = s.file.Close() // nothing is in it that is still needed
	}
	*s = shelf{dir: s.dir}
}
