package marathonsink

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A fake answers in the same process and remembers what it was asked.
type fake struct {
	answer func(*http.Request) (*http.Response, error)

	mu   sync.Mutex
	asks []ask
}

type ask struct {
	method, host, uri, body, authorization string
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	a := ask{method: r.Method, host: r.URL.Host, uri: r.URL.RequestURI(), authorization: r.Header.Get("Authorization")}
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		a.body = string(b)
	}
	f.mu.Lock()
	f.asks = append(f.asks, a)
	f.mu.Unlock()
	return f.answer(r)
}

func (f *fake) asked() []ask {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]ask(nil), f.asks...)
}

// always answers each request alike.
func always(status int, body string, header ...string) *fake {
	return &fake{answer: func(*http.Request) (*http.Response, error) { return reply(status, body, header...), nil }}
}

const leader = "http://m1:8080"

// reply is an answer of a leading Marathon; header is name, value, name, value; an empty value takes one away.
func reply(status int, body string, header ...string) *http.Response {
	h := http.Header{"Content-Type": {"application/json"}, "X-Marathon-Leader": {leader}}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
		if header[i+1] == "" {
			h.Del(header[i])
		}
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

// cutBody gives its bytes and then fails as a connection does that breaks.
type cutBody struct{ io.Reader }

func (c cutBody) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (cutBody) Close() error { return nil }

func newClient(t *testing.T, o Options) *Client {
	t.Helper()
	if o.URLs == nil {
		o.URLs = []string{"http://m1:8080"}
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func wantKind(t *testing.T, err error, want Kind) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("error is %T (%v), want an *Error of kind %s", err, err, want)
	}
	if e.Kind != want {
		t.Fatalf("kind %s, want %s: %v", e.Kind, want, err)
	}
	return e
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

var background = context.Background()
