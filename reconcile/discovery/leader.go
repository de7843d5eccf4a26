package discovery

import (
	"context"
	"net/http"
)

type leaderKey struct{}

// withLeader lets the transport note, in into, which leader made the answer to a call with this context.
func withLeader(ctx context.Context, into *string) context.Context {
	return context.WithValue(ctx, leaderKey{}, into)
}

// noteLeader reads the header by which a leader signs each of its answers. To ask Marathon who leads would be another
// answer, of another moment.
type noteLeader struct{ next http.RoundTripper }

// RoundTrip passes the call on.
func (n noteLeader) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := n.next.RoundTrip(r)
	if into, ok := r.Context().Value(leaderKey{}).(*string); ok {
		*into = "" // of an earlier member that failed
		if err == nil {
			*into = res.Header.Get("X-Marathon-Leader")
		}
	}
	return res, err
}
