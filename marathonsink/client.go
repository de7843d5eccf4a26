package marathonsink

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A Client speaks to one Marathon cluster. It is safe for concurrent use, except that States are read one at a time:
// a second State waits for the first.
type Client struct {
	urls        []*url.URL
	credentials Credentials
	reads       http.RoundTripper
	writes      http.RoundTripper
	events      http.RoundTripper
	ownNetwork  bool // the three are ours, so a request that got no connection was not sent
	timeout     time.Duration
	maxBody     int64
	spool       string
	log         *slog.Logger
	spread      func(time.Duration) time.Duration

	// preferred is the index in urls of the member that answered last: the next call begins there.
	preferred atomic.Int32

	infoMu sync.Mutex
	info   knownInfo

	stateMu sync.Mutex
	known   known
	former  former
}

// New makes a client and sends nothing.
func New(o Options) (*Client, error) {
	urls, err := parseURLs(o.URLs)
	if err != nil {
		return nil, err
	}
	c := &Client{urls: urls, credentials: o.Credentials, timeout: o.Timeout, maxBody: o.MaxBody, spool: o.Spool, log: o.Logger}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	if c.maxBody <= 0 {
		c.maxBody = defaultMaxBody
	}
	if c.spread = o.Spread; c.spread == nil {
		c.spread = rand.N[time.Duration]
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if o.Transport != nil {
		c.reads, c.writes, c.events = o.Transport, o.Transport, o.Transport
		return c, nil
	}
	c.ownNetwork = true
	c.reads = newTransport(4)
	// A fresh connection for each write. On a kept one that the server has just closed, nobody can tell whether the
	// write arrived, and net/http may send it again.
	writes := newTransport(4)
	writes.DisableKeepAlives = true
	c.writes = writes
	c.events = newTransport(1)
	return c, nil
}

// Close gives up idle connections. Calls under way and event streams end with their contexts.
func (c *Client) Close() {
	for _, t := range []http.RoundTripper{c.reads, c.writes, c.events} {
		if t, ok := t.(*http.Transport); ok && c.ownNetwork {
			t.CloseIdleConnections()
		}
	}
}

// newTransport is bounded and speaks HTTP/1.1 only, as Marathon does: HTTP/2 would bring resends of its own.
func newTransport(conns int) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:    5 * time.Second,
		MaxConnsPerHost:        conns,
		MaxIdleConnsPerHost:    conns,
		IdleConnTimeout:        30 * time.Second, // below the minute after which proxies like to drop them
		MaxResponseHeaderBytes: 64 << 10,
		Protocols:              protocols,
	}
}

// checkAppID refuses, before sending, ids that would address something else once they stand in a path.
func checkAppID(op string, id marathon.AppID) error {
	ok := len(id) > 1 && id[0] == '/' && id[len(id)-1] != '/'
	for i := 1; ok && i < len(id); i++ {
		b := id[i]
		switch {
		case b >= 'a' && b <= 'z', b >= '0' && b <= '9', b == '-':
		case b == '.': // inside a name only: "..", "." are steps in a path
			ok = id[i-1] != '/' && id[i-1] != '.'
		case b == '/':
			ok = id[i-1] != '/' && id[i-1] != '.'
		default:
			ok = false
		}
	}
	if !ok {
		return &Error{Op: op, Kind: KindInvalid, Message: "app id " + clean(string(id), 100) + " is not of the form /group/name in a-z, 0-9, - and ."}
	}
	return nil
}

// checkToken does the same for ids of tasks and deployments, which Marathon makes.
func checkToken(op, what, id string) error {
	ok := id != "" && id != "." && id != ".."
	for i := 0; ok && i < len(id); i++ {
		b := id[i]
		ok = b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || b == '-' || b == '_' || b == '.'
	}
	if !ok {
		return &Error{Op: op, Kind: KindInvalid, Message: what + " id " + clean(id, 100) + " is not one that Marathon makes"}
	}
	return nil
}

// withTimeout is ctx with the client's bound on one exchange.
func (c *Client) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.timeout)
}
