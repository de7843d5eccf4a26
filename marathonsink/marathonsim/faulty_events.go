package marathonsim

import (
	"bytes"
	"io"
	"slices"
)

// faultyEvents is an event stream on which events are lost, doubled and swapped. Heartbeats pass.
type faultyEvents struct {
	f    *Faulty
	from io.ReadCloser

	raw  []byte // read, and not yet a whole event
	out  []byte // to be read
	held []byte // an event that comes after the next one
	end  error
}

var endOfEvent = []byte("\r\n\r\n")

// Read gives what is left of the stream.
func (e *faultyEvents) Read(p []byte) (int, error) {
	for len(e.out) == 0 {
		if e.end != nil {
			return 0, e.end
		}
		buf := make([]byte, 4096)
		n, err := e.from.Read(buf)
		e.raw, e.end = append(e.raw, buf[:n]...), err
		e.frames()
	}
	n := copy(p, e.out)
	e.out = e.out[n:]
	return n, nil
}

// frames takes the whole events off raw.
func (e *faultyEvents) frames() {
	for len(e.raw) > 0 {
		if bytes.HasPrefix(e.raw, []byte("\r\n")) { // a heartbeat
			e.out, e.raw = append(e.out, "\r\n"...), e.raw[2:]
			continue
		}
		i := bytes.Index(e.raw, endOfEvent)
		if i < 0 {
			return
		}
		frame := slices.Clone(e.raw[:i+len(endOfEvent)])
		e.raw = e.raw[len(frame):]
		e.event(frame)
	}
}

func (e *faultyEvents) event(frame []byte) {
	kind := FaultKind("")
	if x := e.f.happens(eventFaults, "", ""); x != nil {
		kind = x.Kind
	}
	switch kind {
	case EventLost:
		return
	case EventSwapped:
		if e.held == nil {
			e.held = frame
			return
		}
	case EventDoubled:
		e.out = append(e.out, frame...)
	}
	e.out = append(append(e.out, frame...), e.held...)
	e.held = nil
}

// Close ends the stream.
func (e *faultyEvents) Close() error { return e.from.Close() }
