package marathonsink

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options say how to reach one Marathon.
type Options struct {
	// URLs of the members of one Marathon cluster, for instance http://m1:8080. Reads go to the next one when one
	// fails; a write goes to one of them, once. Events are followed to a leader only if it is listed here.
	URLs        []string
	Credentials Credentials
	// Transport replaces the network, for instance by a simulator in the same process. nil makes connections of the
	// client's own, bounded, with a fresh one for each write.
	Transport http.RoundTripper
	// Timeout bounds each exchange from dialing to the last byte; 30 s if zero. Events have none.
	Timeout time.Duration
	// MaxBody bounds the list of apps in bytes as decoded, 1 GiB if zero. It is read app by app and never held.
	MaxBody int64
	// Spool is a folder for what Anew puts aside of a large list, in a file without a name; empty: it stays in memory. A
	// folder that is not there, or full, is no error.
	Spool string
	// Logger gets one debug line a call, without bodies, queries and credentials. nil is silent.
	Logger *slog.Logger
	// Spread draws from [0, d) how much longer a lost stream of events is left alone; nil draws at random.
	Spread func(d time.Duration) time.Duration
}

const (
	defaultTimeout = 30 * time.Second
	defaultMaxBody = 1 << 30

	// maxItem bounds one app, deployment or queue entry of an answer. A definition is at most 1 MiB; the rest is tasks.
	maxItem = 16 << 20
	// maxErrorBody is how much of a refusal is read.
	maxErrorBody = 64 << 10
	// maxRequestBody: a definition above 1 MiB ends Marathon's leader (marathon-lab-api §0.3), and a caller that
	// repeated the write would end one leader after the other.
	maxRequestBody = 900_000
)

// Credentials go with every request to the configured URLs, and nowhere else. They never print themselves: they live
// in a closure, which no formatting verb looks into.
type Credentials struct{ reveal func() secrets }

// secrets are the header's value, and everything in it that must not come back from an answer into a log.
type secrets struct {
	header string
	hidden []string
}

// BasicAuth is Marathon's --http_credentials.
func BasicAuth(user, password string) Credentials {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	value := r.Header.Get("Authorization")
	encoded := strings.TrimPrefix(value, "Basic ")
	return Credentials{func() secrets { return secrets{value, []string{encoded, user + ":" + password, password}} }}
}

// BearerToken is for a proxy in front of Marathon that wants a token.
func BearerToken(token string) Credentials {
	return Credentials{func() secrets { return secrets{"Bearer " + token, []string{token}} }}
}

// String never shows a secret.
func (c Credentials) String() string {
	if c.reveal == nil {
		return "none"
	}
	return "set"
}

func (c Credentials) sign(r *http.Request) {
	if c.reveal != nil {
		r.Header.Set("Authorization", c.reveal().header)
	}
}

// scrub takes the secrets out of an answer that repeats them: a proxy's error page may well do so.
func (c Credentials) scrub(body []byte) []byte {
	if c.reveal == nil {
		return body
	}
	for _, s := range c.reveal().hidden {
		if s != "" {
			body = bytes.ReplaceAll(body, []byte(s), []byte("***"))
		}
	}
	return body
}

// parseURLs refuses what would leak or mislead later. The texts name the place in the list and never the URL itself,
// which may hold a password.
func parseURLs(list []string) ([]*url.URL, error) {
	if len(list) == 0 {
		return nil, errors.New("no Marathon URL: give at least one, for instance http://marathon:8080")
	}
	var out []*url.URL
	for i, s := range list {
		u, err := url.Parse(strings.TrimSuffix(s, "/"))
		switch {
		case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "":
			return nil, fmt.Errorf("address %d of Marathon is not of the form http://host:port", i+1)
		case u.User != nil:
			return nil, fmt.Errorf("address %d of Marathon contains a user: credentials do not belong into a URL, which is logged", i+1)
		case u.RawQuery != "" || u.Fragment != "":
			return nil, fmt.Errorf("address %d of Marathon has a query or fragment: leave it out", i+1)
		}
		out = append(out, u)
	}
	return out, nil
}
