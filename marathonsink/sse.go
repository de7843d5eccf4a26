package marathonsink

import (
	"bufio"
	"bytes"
	"io"
)

// maxEvent bounds one event. Up to 1.7 deployment events carry the whole root group twice.
const maxEvent = 16 << 20

// An sseReader reads a text/event-stream as Marathon writes it: lines end in CRLF or LF, an empty line ends an event,
// and an empty line on its own is a heartbeat. Marathon sends neither ids nor retry times; they are ignored.
type sseReader struct {
	r     *bufio.Reader
	limit int

	name    string
	data    bytes.Buffer
	hasData bool
	tooBig  bool
}

func newSSEReader(r io.Reader, limit int) *sseReader {
	return &sseReader{r: bufio.NewReaderSize(r, 32<<10), limit: limit}
}

// A frame is what an empty line ends: an event, an event too large to keep (TooBig), or nothing, which is a heartbeat.
type frame struct {
	Type      string
	Data      []byte
	Heartbeat bool
	TooBig    bool
}

// next blocks for the next frame. An event that the end of the stream cuts off is dropped.
func (s *sseReader) next() (frame, error) {
	s.name, s.hasData, s.tooBig = "", false, false
	s.data = bytes.Buffer{} // the frame keeps the bytes, so they cannot be reused
	for {
		blank, err := s.line()
		if err != nil {
			return frame{}, err
		}
		if !blank {
			continue
		}
		if s.tooBig {
			return frame{TooBig: true}, nil
		}
		if !s.hasData {
			return frame{Heartbeat: true}, nil
		}
		return frame{Type: s.name, Data: s.data.Bytes()}, nil
	}
}

// line takes one line, in pieces if it is longer than the buffer, and says whether it was empty.
func (s *sseReader) line() (blank bool, err error) {
	piece, more, err := s.r.ReadLine() // takes off LF and CRLF
	if err != nil {
		return false, err
	}
	if len(piece) == 0 && !more {
		return true, nil
	}
	field, value, _ := bytes.Cut(piece, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	isData := string(field) == "data"
	switch {
	case isData:
		if s.hasData {
			s.keep([]byte("\n"))
		}
		s.hasData = true
		s.keep(value)
	case string(field) == "event" && !more:
		s.name = string(value)
	}
	for more {
		if piece, more, err = s.r.ReadLine(); err != nil {
			return false, err
		}
		if isData {
			s.keep(piece)
		}
	}
	return false, nil
}

func (s *sseReader) keep(p []byte) {
	if s.tooBig || s.data.Len()+len(p) > s.limit {
		s.tooBig = true
		s.data = bytes.Buffer{}
		return
	}
	s.data.Write(p)
}
