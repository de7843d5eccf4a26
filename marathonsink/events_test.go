package marathonsink

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// recorded is the body of a stream that a real Marathon sent.
func recorded(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/sse/" + name)
	if err != nil {
		t.Fatal(err)
	}
	_, body, found := bytes.Cut(b, []byte("\r\n\r\n"))
	if !found {
		t.Fatal("no head")
	}
	return body
}

func frames(t *testing.T, r io.Reader, limit int) []frame {
	t.Helper()
	var out []frame
	in := newSSEReader(r, limit)
	for {
		f, err := in.next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f)
	}
}

func TestARecordedStreamIsReadInOrderHoweverItIsCutIntoPackets(t *testing.T) {
	body := recorded(t, "create-1.11.txt")
	want := "event_stream_attached deployment_info add_health_check_event deployment_step_success deployment_info " +
		"instance_changed_event group_change_success api_post_event"
	for name, r := range map[string]io.Reader{
		"whole": bytes.NewReader(body), "bytes": iotest.OneByteReader(bytes.NewReader(body)), "halves": iotest.HalfReader(bytes.NewReader(body))} {
		var types []string
		for _, f := range frames(t, r, maxEvent) {
			if f.Heartbeat {
				continue
			}
			if !bytes.HasPrefix(f.Data, []byte(`{"`)) || !bytes.Contains(f.Data, []byte(`"eventType":"`+f.Type+`"`)) {
				t.Errorf("%s: %s has data %.80s", name, f.Type, f.Data)
			}
			types = append(types, f.Type)
		}
		if got := strings.Join(types, " "); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestFramesOfAStream(t *testing.T) {
	cases := []struct{ name, in, want string }{
		{"CRLF and LF", "event: a\r\ndata: 1\r\n\r\nevent: b\ndata: 2\n\n", "a=1 b=2"},
		{"heartbeats", "\r\n\r\nevent: a\r\ndata: 1\r\n\r\n\r\n", "♥ ♥ a=1 ♥"},
		{"several data lines", "event: a\ndata: 1\ndata: 2\ndata\ndata:3\n\n", "a=1|2||3"},
		{"no space", "event:a\ndata:1\n\n", "a=1"},
		{"comments and unknown fields", ": hello\nid: 7\nretry: 1\nevent: a\ndata: 1\n\n", "a=1"},
		{"a comment alone", ": hello\n\n", "♥"},
		{"a cut event is dropped", "event: a\ndata: 1\n\nevent: b\ndata: 2\n", "a=1"},
		{"the name of one event is not that of the next", "event: a\ndata: 1\n\ndata: 2\n\n", "a=1 =2"},
		{"too large", "event: a\ndata: 1\n\nevent: big\ndata: " + strings.Repeat("x", 100) + "\n\nevent: b\ndata: 2\n\n", "a=1 ✂ b=2"},
		{"too large in lines", "event: big\n" + strings.Repeat("data: 12345678\n", 20) + "\nevent: b\ndata: 2\n\n", "✂ b=2"},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			var got []string
			for _, f := range frames(t, strings.NewReader(k.in), 64) {
				switch {
				case f.Heartbeat:
					got = append(got, "♥")
				case f.TooBig:
					got = append(got, "✂")
				default:
					got = append(got, f.Type+"="+strings.ReplaceAll(string(f.Data), "\n", "|"))
				}
			}
			if s := strings.Join(got, " "); s != k.want {
				t.Errorf("%q, want %q", s, k.want)
			}
		})
	}
}

func TestLinesLongerThanTheBufferAreWhole(t *testing.T) {
	long := strings.Repeat("x", 200_000)
	got := frames(t, strings.NewReader("event: a\ndata: "+long+"\n\n"), maxEvent)
	if len(got) != 1 || string(got[0].Data) != long || got[0].Type != "a" {
		t.Errorf("%d frames", len(got))
	}
}

func FuzzSSE(f *testing.F) {
	f.Add([]byte("event: a\r\ndata: 1\r\n\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		whole := frames(t, bytes.NewReader(in), 32)
		pieces := frames(t, iotest.OneByteReader(bytes.NewReader(in)), 32)
		if len(whole) != len(pieces) {
			t.Errorf("%d frames, in single bytes %d", len(whole), len(pieces))
		}
		for _, fr := range whole {
			if len(fr.Data) > 32 {
				t.Errorf("%d bytes kept", len(fr.Data))
			}
		}
	})
}

func eventStream(body io.ReadCloser) *http.Response {
	res := reply(200, "", "Content-Type", "text/event-stream;charset=utf-8")
	res.Body = body
	return res
}

func TestEachConnectionBeginsWithAGapAndReconnectsArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var connections atomic.Int32
		f := &fake{answer: func(*http.Request) (*http.Response, error) {
			connections.Add(1)
			return eventStream(io.NopCloser(strings.NewReader("event: a\r\ndata: 1\r\n\r\n"))), nil
		}}
		ctx, cancel := context.WithCancel(background)
		events := newClient(t, Options{Transport: f}).Events(ctx)
		for range 3 {
			if e := <-events; !e.Gap {
				t.Fatalf("a connection began with %+v", e)
			}
			if e := <-events; e.Gap || e.Type != "a" || string(e.Data) != "1" {
				t.Fatalf("%+v", e)
			}
		}
		before := connections.Load()
		time.Sleep(10 * time.Minute)
		// A leader that is not yet active closes each stream at once.
		if n := connections.Load() - before; n < 10 || n > 60 {
			t.Errorf("%d connections in ten minutes", n)
		}
		cancel()
		for range events {
		}
	})
}

func TestASilentStreamIsGivenUpAfterThreeHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var connections atomic.Int32
		f := &fake{answer: func(*http.Request) (*http.Response, error) {
			r, w := io.Pipe()
			if connections.Add(1) > 1 {
				return eventStream(r), nil // silent from the start
			}
			go func() {
				for range 60 { // ten minutes of nothing but heartbeats
					_, _ = io.WriteString(w, "\r\n")
					time.Sleep(10 * time.Second)
				}
				// and from now on a connection that nobody closes
			}()
			return eventStream(r), nil
		}}
		ctx, cancel := context.WithCancel(background)
		events := newClient(t, Options{Transport: f}).Events(ctx)
		<-events
		time.Sleep(9 * time.Minute)
		if n := connections.Load(); n != 1 {
			t.Errorf("%d connections while heartbeats came", n)
		}
		time.Sleep(2 * time.Minute)
		if n := connections.Load(); n < 2 {
			t.Error("the silent stream was kept")
		}
		cancel()
		for range events {
		}
	})
}

func TestAGapComesOnlyWithTheFirstSignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		f := &fake{answer: func(*http.Request) (*http.Response, error) { return eventStream(r), nil }}
		ctx, cancel := context.WithCancel(background)
		events := newClient(t, Options{Transport: f}).Events(ctx)
		synctest.Wait()
		if len(events) != 0 {
			t.Error("a look before Marathon said a word may miss what happens next")
		}
		_, _ = io.WriteString(w, "\r\n")
		synctest.Wait()
		if e := <-events; !e.Gap {
			t.Errorf("%+v", e)
		}
		cancel()
		for range events {
		}
	})
}

func TestASlowReaderGetsAGapAndHoldsNobodyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		f := &fake{answer: func(req *http.Request) (*http.Response, error) { return eventStream(r), nil }}
		ctx, cancel := context.WithCancel(background)
		events := newClient(t, Options{Transport: f}).Events(ctx)
		send := func(n int) {
			for range n {
				_, _ = io.WriteString(w, "event: a\ndata: 1\n\n")
			}
			synctest.Wait()
		}
		send(3 * eventBuffer)
		if e := <-events; !e.Gap {
			t.Fatalf("%+v", e)
		}
		var last Event
		for len(events) > 0 {
			last = <-events
		}
		if !last.Gap {
			t.Error("what was dropped left no gap")
		}
		send(2)
		if a, b := <-events, <-events; a.Type != "a" || b.Type != "a" {
			t.Errorf("after the gap: %+v %+v", a, b)
		}
		cancel()
		for range events {
		}
	})
}

func TestEventsTryEveryMemberAndNeverStopByThemselves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(r *http.Request) (*http.Response, error) {
			switch r.URL.Host {
			case "m1:8080":
				return nil, errors.New("connection refused")
			case "m2:8080":
				return reply(500, "", "X-Marathon-Leader", ""), nil
			case "m3:8080":
				return reply(200, "<html>", "Content-Type", "text/html"), nil
			}
			return eventStream(io.NopCloser(strings.NewReader("\n"))), nil
		}}
		ctx, cancel := context.WithCancel(background)
		events := newClient(t, Options{Transport: f, Logger: quiet(), URLs: []string{"http://m1:8080", "http://m2:8080", "http://m3:8080", "http://m4:8080"}}).Events(ctx, "a")
		for range 3 {
			if e := <-events; !e.Gap {
				t.Errorf("%+v", e)
			}
		}
		cancel()
		for range events {
		}
	})
}
