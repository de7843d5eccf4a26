// Package esclient reads and changes an Elasticsearch cluster.
//
// In: an esgate.Target: where to ask and who must answer. Out: esgate.Health, one reading whose parts agree, or "not known"
// with the reason; and for one esgate.Change whether it happened, was refused, or nobody knows. Any doubt (late, cut, no
// master, another cluster, a master that changed, numbers that contradict each other) is "not known", never a guess. A write
// goes to a node that has just proven, together with a second one, to be of the declared cluster, and is sent once.
package esclient

import (
	"net/http"
	"time"
)

// A Client talks to clusters. The zero value is not usable; call New. It may be used by several goroutines at once.
type Client struct {
	http    *http.Client
	timeout time.Duration
}

// New makes a client over transport (nil: the default one). timeout bounds each call; 0 means 5 s. Calls that make all
// nodes work (a write, the list of a repository's snapshots) get a small multiple of it.
func New(transport http.RoundTripper, timeout time.Duration) *Client {
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	return &Client{timeout: timeout, http: &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}
