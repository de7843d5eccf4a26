package marathonsink

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

var (
	errCut      = errors.New("the answer ends in the middle")
	errTooLarge = errors.New("the answer is too large")
)

// eachElement calls fn with the bytes of each object in an array, one at a time, and never holds more than one of them.
// The array is the member key of the top-level object, or the whole document if key is "". fn must not keep its
// argument. Whatever is not exactly one complete JSON document is an error: half a list must not pass for a list.
func eachElement(r io.Reader, key string, limit int64, fn func(span []byte) error) error {
	s := &spans{r: bufio.NewReaderSize(&bounded{r, limit}, 64<<10)}
	var err error
	if key == "" {
		err = s.array(fn)
	} else {
		err = s.object(key, fn)
	}
	if err != nil {
		return err
	}
	if b, err := s.next(); err == nil {
		return fmt.Errorf("%q after the end of the answer", b)
	} else if !errors.Is(err, errCut) {
		return err
	}
	return nil
}

// bounded fails, instead of ending, at the limit: an end would look like a shorter document.
type bounded struct {
	r    io.Reader
	left int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

type spans struct {
	r   *bufio.Reader
	buf []byte
}

// object walks the members of the top-level object and gives the elements of the array under key to fn.
func (s *spans) object(key string, fn func([]byte) error) error {
	if err := s.expect('{'); err != nil {
		return err
	}
	found := false
	for first := true; ; first = false {
		b, err := s.next()
		if err != nil {
			return err
		}
		if b == '}' {
			break
		}
		if !first {
			if b != ',' {
				return fmt.Errorf("%q where a comma should be", b)
			}
			if b, err = s.next(); err != nil {
				return err
			}
		}
		if b != '"' {
			return fmt.Errorf("%q where a member's name should be", b)
		}
		if err := s.member(key, &found, fn); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("the answer has no %q", key)
	}
	return nil
}

// member reads one member whose opening quote has been read.
func (s *spans) member(key string, found *bool, fn func([]byte) error) error {
	if err := s.unread(); err != nil {
		return err
	}
	name, err := s.value()
	if err != nil {
		return err
	}
	match := string(name[1:len(name)-1]) == key
	if err := s.expect(':'); err != nil {
		return err
	}
	if match {
		if *found {
			return fmt.Errorf("the answer has %q twice", key)
		}
		*found = true
		return s.array(fn)
	}
	_, err = s.value()
	return err
}

func (s *spans) array(fn func([]byte) error) error {
	if err := s.expect('['); err != nil {
		return err
	}
	for first := true; ; first = false {
		b, err := s.next()
		if err != nil {
			return err
		}
		if b == ']' {
			return nil
		}
		if !first {
			if b != ',' {
				return fmt.Errorf("%q where a comma should be", b)
			}
			if b, err = s.next(); err != nil {
				return err
			}
		}
		if b != '{' {
			return fmt.Errorf("%q where an object should begin", b)
		}
		if err := s.unread(); err != nil {
			return err
		}
		span, err := s.value()
		if err != nil {
			return err
		}
		if err := fn(span); err != nil {
			return err
		}
	}
}

// value reads one value into the reused buffer. It only finds the value's end; whether it is good JSON is for whoever
// decodes it.
func (s *spans) value() ([]byte, error) {
	first, err := s.next()
	if err != nil {
		return nil, err
	}
	s.buf = append(s.buf[:0], first)
	sc := scanner{}
	if done := sc.step(first); done {
		return s.buf, nil
	}
	scalar := !sc.inString && sc.depth == 0
	for {
		if _, err := s.r.Peek(1); err != nil {
			return nil, s.fail(err)
		}
		chunk, err := s.r.Peek(s.r.Buffered())
		if err != nil {
			return nil, s.fail(err)
		}
		n, done := 0, false
		for n < len(chunk) && !done {
			if scalar {
				if done = endsScalar(chunk[n]); done {
					break
				}
			} else {
				n += sc.plain(chunk[n:])
				if n == len(chunk) {
					break
				}
				done = sc.step(chunk[n])
			}
			n++
		}
		if len(s.buf)+n > maxItem {
			return nil, errTooLarge
		}
		s.buf = append(s.buf, chunk[:n]...)
		if _, err := s.r.Discard(n); err != nil {
			return nil, s.fail(err)
		}
		if done {
			return s.buf, nil
		}
	}
}

// A scanner follows nesting and strings, byte by byte.
type scanner struct {
	depth             int
	inString, escaped bool
}

// step takes one byte and says whether a string, array or object ended with it at the outermost level.
func (s *scanner) step(b byte) (done bool) {
	if s.inString {
		switch {
		case s.escaped:
			s.escaped = false
		case b == '\\':
			s.escaped = true
		case b == '"':
			s.inString = false
			return s.depth == 0
		}
		return false
	}
	switch b {
	case '"':
		s.inString = true
	case '{', '[':
		s.depth++
	case '}', ']':
		s.depth--
		return s.depth <= 0
	}
	return false
}

// plain is how many bytes at the beginning of chunk are inside of a string and mean nothing to step. Most of a fleet's apps
// is one long string, the bundle.
func (s *scanner) plain(chunk []byte) int {
	if !s.inString || s.escaped {
		return 0
	}
	n := bytes.IndexByte(chunk, '"')
	if n < 0 {
		n = len(chunk)
	}
	if escape := bytes.IndexByte(chunk[:n], '\\'); escape >= 0 {
		return escape
	}
	return n
}

func endsScalar(b byte) bool {
	return b == ',' || b == '}' || b == ']' || b == ' ' || b == '\n' || b == '\r' || b == '\t'
}

// next is the next byte that is not white space.
func (s *spans) next() (byte, error) {
	for {
		b, err := s.r.ReadByte()
		if err != nil {
			return 0, s.fail(err)
		}
		if b != ' ' && b != '\n' && b != '\r' && b != '\t' {
			return b, nil
		}
	}
}

func (s *spans) unread() error { return s.r.UnreadByte() }

func (s *spans) expect(want byte) error {
	b, err := s.next()
	if err != nil {
		return err
	}
	if b != want {
		return fmt.Errorf("%q where %q should be", b, want)
	}
	return nil
}

// fail tells an end of the bytes from a failure to read them.
func (s *spans) fail(err error) error {
	if err == io.EOF {
		return errCut
	}
	return err
}
