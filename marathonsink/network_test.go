package marathonsink

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A rawServer counts requests as they arrive and answers with the bytes it is told to, then closes.
type rawServer struct {
	net.Listener
	requests, conns atomic.Int32
	wg              sync.WaitGroup
}

// serve lets each connection be handled by answer, which gets the number of the request on it, from 1, and says
// whether the connection stays open.
func serve(t *testing.T, answer func(conn net.Conn, nth int) (stay bool)) *rawServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{Listener: l}
	s.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			s.wg.Go(func() { s.handle(conn, answer) })
		}
	})
	t.Cleanup(func() { _ = l.Close(); s.wg.Wait() })
	return s
}

func (s *rawServer) handle(conn net.Conn, answer func(net.Conn, int) bool) {
	defer conn.Close()
	r := bufio.NewReader(conn)
	for nth := 1; ; nth++ {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		s.requests.Add(1)
		if !answer(conn, nth) {
			return
		}
	}
}

func (s *rawServer) url() string { return "http://" + s.Addr().String() }

func ok(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Marathon-Leader: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", leader, len(body), body)
}

func TestAWriteIsNotSentAgainWhenTheServerClosesTheConnection(t *testing.T) {
	for _, w := range writes {
		t.Run(w.name, func(t *testing.T) {
			s := serve(t, func(net.Conn, int) bool { return false }) // reads the request, says nothing
			c := newClient(t, Options{URLs: []string{s.url(), s.url()}})
			wantKind(t, w.do(c, background), KindUnknown)
			if n := s.requests.Load(); n != 1 {
				t.Errorf("the server saw the write %d times", n)
			}
		})
	}
}

func TestAWriteNeverUsesAConnectionThatTheServerMayHaveClosed(t *testing.T) {
	// The server keeps connections open and drops each at its second request: the classic stale keep-alive.
	s := serve(t, func(conn net.Conn, nth int) bool {
		if nth > 1 {
			return false
		}
		_, err := io.WriteString(conn, ok(accepted))
		return err == nil
	})
	c := newClient(t, Options{URLs: []string{s.url()}})
	for _, w := range writes {
		if err := w.do(c, background); err != nil {
			t.Fatalf("%s: %v", w.name, err)
		}
	}
	if n := s.conns.Load(); int(n) != len(writes) {
		t.Errorf("%d connections for %d writes", n, len(writes))
	}
}

func TestReadsReuseTheirConnection(t *testing.T) {
	s := serve(t, func(conn net.Conn, _ int) bool {
		_, err := io.WriteString(conn, ok(`{"queue":[]}`))
		return err == nil
	})
	c := newClient(t, Options{URLs: []string{s.url()}})
	for range 5 {
		if _, err := c.Queue(background); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.conns.Load(); n != 1 {
		t.Errorf("%d connections", n)
	}
}

func TestAnAnswerThatBreaksOffOnTheWireIsUnknown(t *testing.T) {
	s := serve(t, func(conn net.Conn, _ int) bool {
		_, _ = io.WriteString(conn, strings.Replace(ok(`{"apps":[]}`), "Content-Length: 11", "Content-Length: 12", 1))
		return false
	})
	c := newClient(t, Options{URLs: []string{s.url()}})
	_, err := c.State(background, nil)
	wantKind(t, err, KindUnknown)
	_, err = c.Create(background, marathon.Doc{"id": "/a"})
	wantKind(t, err, KindUnknown)
}

func TestCompressedAnswersAreReadAndTheirLimitCountsTheContent(t *testing.T) {
	var asked atomic.Value
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.Header.Get("Accept-Encoding"))
		w.Header().Set("X-Marathon-Leader", leader)
		w.Header().Set("Content-Type", "application/json; qs=2") // as 1.5 writes it
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		defer z.Close()
		if r.URL.Path == "/v2/info" {
			_, _ = io.WriteString(z, info)
			return
		}
		_, _ = io.WriteString(z, list(appJSON("/a", true, `,"env":{"X":"`+strings.Repeat("x", 1<<20)+`"}`)))
	}))
	t.Cleanup(srv.Close)
	s, err := newClient(t, Options{URLs: []string{srv.URL}}).State(background, nil)
	if err != nil || len(s.Apps) != 1 {
		t.Fatalf("%+v, %v", s, err)
	}
	if asked.Load() != "gzip" {
		t.Errorf("asked for %q", asked.Load())
	}
	_, err = newClient(t, Options{URLs: []string{srv.URL}, MaxBody: 512 << 10}).State(background, nil)
	wantKind(t, err, KindTooLarge)
}

func TestConnectionsAreBounded(t *testing.T) {
	release := make(chan struct{})
	arrived := make(chan struct{}, 100)
	s := serve(t, func(conn net.Conn, _ int) bool {
		arrived <- struct{}{}
		<-release
		_, err := io.WriteString(conn, ok(`{"queue":[]}`))
		return err == nil
	})
	c := newClient(t, Options{URLs: []string{s.url()}})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := c.Queue(background); err != nil {
				t.Error(err)
			}
		})
	}
	for range 4 {
		<-arrived
	}
	close(release)
	wg.Wait()
	if n := s.conns.Load(); n > 4 {
		t.Errorf("%d connections at once for 20 calls", n)
	}
}

func TestAPathInFrontOfMarathonIsKept(t *testing.T) {
	f := always(200, accepted)
	c := newClient(t, Options{Transport: f, URLs: []string{"https://proxy/service/marathon/"}})
	if _, err := c.Scale(background, "/a", 1, nil); err != nil {
		t.Fatal(err)
	}
	if got := f.asked()[0]; got.uri != "/service/marathon/v2/apps/a" || got.host != "proxy" {
		t.Errorf("asked %+v", got)
	}
}
