package sinktest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
)

// A recording is what a real Marathon's stream of events was, cut into its frames; heartbeats have no type.
type recording struct {
	head   string
	frames []recordedFrame
}

type recordedFrame struct{ kind, data, raw string }

const recordedHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream;charset=utf-8\r\nConnection: close\r\n\r\n"

// readTranscript takes a transcript of raw bytes apart, in a way of its own.
func readTranscript(b []byte) (r recording, ok bool) {
	head, body, ok := strings.Cut(string(b), "\r\n\r\n")
	if !ok || !strings.HasPrefix(head, "HTTP/1.1 200") {
		return r, false
	}
	r.head = head + "\r\n\r\n"
	for rest := body; rest != ""; {
		var raw string
		if strings.HasPrefix(rest, "\r\n") {
			raw, rest = "\r\n", rest[2:]
			r.frames = append(r.frames, recordedFrame{raw: raw})
			continue
		}
		raw, rest, ok = strings.Cut(rest, "\r\n\r\n")
		if !ok {
			break // the recorder stopped in the middle
		}
		f := recordedFrame{raw: raw + "\r\n\r\n"}
		for line := range strings.SplitSeq(raw, "\r\n") {
			if v, is := strings.CutPrefix(line, "event: "); is {
				f.kind = v
			} else if v, is := strings.CutPrefix(line, "data: "); is {
				f.data = v
			}
		}
		r.frames = append(r.frames, f)
	}
	return r, true
}

// readSequence makes a stream of recorded events that were kept as JSON lines.
func readSequence(b []byte) (r recording, err error) {
	r.head = recordedHead
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var ev struct {
			Event string
			Data  json.RawMessage
		}
		if err := json.Unmarshal(lines.Bytes(), &ev); err != nil {
			return r, err
		}
		if ev.Event == "" {
			continue // a remark of the recorder's
		}
		r.frames = append(r.frames, recordedFrame{ev.Event, string(ev.Data), fmt.Sprintf("event: %s\r\ndata: %s\r\n\r\n", ev.Event, ev.Data)})
	}
	return r, lines.Err()
}

// replay answers the first request for events with a recording, frame by frame, and no other.
type replay struct {
	head string
	body io.ReadCloser
	once chan struct{}
}

func (p *replay) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case p.once <- struct{}{}:
	default:
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(p.head)), r)
	if err == nil {
		res.Body = p.body
	}
	return res, err
}

// reads checks that the client gives every recorded event, unchanged and in order, and nothing else.
func (r recording) reads(t *testing.T) {
	t.Helper()
	body, feed := io.Pipe()
	c, err := marathonsink.New(marathonsink.Options{URLs: []string{"http://marathon.test"}, Transport: &replay{r.head, body, make(chan struct{}, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	events := c.Events(ctx)
	defer func() {
		cancel()
		_ = feed.Close()
		for range events {
		}
	}()
	next := func() marathonsink.Event {
		select {
		case ev := <-events:
			return ev
		case <-time.After(patience):
			t.Fatal("no event came")
		}
		return marathonsink.Event{}
	}
	for i, f := range r.frames {
		if _, err := io.WriteString(feed, f.raw); err != nil {
			t.Fatal(err)
		}
		if i == 0 && !next().Gap {
			t.Fatal("the stream does not begin with a gap")
		}
		if f.kind == "" {
			continue
		}
		if ev := next(); ev.Gap || ev.Type != f.kind || string(ev.Data) != f.data {
			t.Fatalf("event %d is %s %.200s, recorded was %s %.200s", i, ev.Type, ev.Data, f.kind, f.data)
		}
	}
}

func TestRecordedStreamsAreReadAsTheyWere(t *testing.T) {
	lab := filepath.Join(moduleRoot(t), "..", "shared", "reference", "marathon-lab")
	for name, folder := range map[string]string{"kept": filepath.Join("testdata", "sse"), "1.11": filepath.Join(lab, "sse"), "1.7 and 1.5": filepath.Join(lab, "old", "sse")} {
		t.Run(name, func(t *testing.T) {
			files, err := filepath.Glob(filepath.Join(folder, "*"))
			if err != nil || len(files) == 0 {
				t.Skipf("skipped: there are no recordings in %s", folder)
			}
			events := 0
			for _, file := range files {
				events += replayFile(t, file)
			}
			if events == 0 {
				t.Error("no event was recorded")
			}
			t.Logf("%d events in %d files", events, len(files))
		})
	}
}

// replayFile reads one recording; files that are no streams (heads, summaries, refusals) have no events.
func replayFile(t *testing.T, file string) (events int) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var r recording
	switch filepath.Ext(file) {
	case ".txt":
		r, _ = readTranscript(b)
	case ".jsonl":
		if r, err = readSequence(b); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	for _, f := range r.frames {
		if f.kind != "" {
			events++
		}
	}
	if len(r.frames) > 0 {
		t.Run(filepath.Base(file), r.reads)
	}
	return events
}
