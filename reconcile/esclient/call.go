package esclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Bounds of an answer, in bytes. A node's or an index's share of an answer is some hundred bytes, a copy's in the routing
// table about hundred: large holds a cluster of a million copies.
const (
	small = 1 << 20
	large = 256 << 20
)

// A question is one GET.
type question struct {
	endpoint, path string
	query          url.Values
	max            int64
	timeout        time.Duration
	body           any // explain takes one
}

// A refusal is an answer with another status than was asked for.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string {
	switch {
	case strings.Contains(r.text, "master_not_discovered") || strings.Contains(r.text, "cluster_manager_not_discovered"):
		return "the node has no master (503)"
	case r.text == "":
		return fmt.Sprintf("status %d", r.status)
	}
	return fmt.Sprintf("status %d: %s", r.status, r.text)
}

// answeredWith says whether err is an answer with that status.
func answeredWith(err error, status int) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == status
}

// master is the query of a call that the elected master answers: no call may wait the 30 s for one that are the default.
func (c *Client) master(more ...string) url.Values {
	return values(append([]string{"master_timeout", millis(c.timeout / 2)}, more...)...)
}

func values(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }

// ask sends q and decodes a good answer while it arrives, so that a large one is never held twice.
func (c *Client) ask(ctx context.Context, q question, into any, also ...int) error {
	if q.timeout == 0 {
		q.timeout = c.timeout
	}
	if q.max == 0 {
		q.max = small
	}
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	res, err := c.send(ctx, http.MethodGet, q.endpoint, q.path, q.query, q.body)
	if err == nil {
		defer res.Body.Close() //nolint:errcheck // read-only
		err = decode(res, q.max, into, also)
	}
	if err == nil {
		return nil
	}
	if ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("no whole answer within %s: %w", q.timeout, context.DeadlineExceeded)
	}
	return fmt.Errorf("GET %s%s: %w", q.endpoint, q.path, err)
}

// send makes one request. Its errors leave out the address, which the caller names.
func (c *Client) send(ctx context.Context, method, endpoint, path string, query url.Values, body any) (*http.Response, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		r = strings.NewReader(string(b))
	}
	address := endpoint + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, r)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := c.http.Do(req)
	var u *url.Error
	if errors.As(err, &u) {
		return nil, u.Err
	}
	return res, err
}

func decode(res *http.Response, most int64, into any, also []int) error {
	good := res.StatusCode == http.StatusOK
	for _, s := range also {
		good = good || res.StatusCode == s
	}
	if !good {
		return &refusal{status: res.StatusCode, text: excerpt(res.Body)}
	}
	limited := &io.LimitedReader{R: res.Body, N: most + 1}
	d := json.NewDecoder(limited)
	err := d.Decode(into)
	if err == nil {
		// To the end: only there a broken connection shows.
		_, err = d.Token()
		switch {
		case err == io.EOF:
			err = nil
		case err == nil:
			err = errors.New("more than one JSON value")
		}
	}
	if limited.N <= 0 {
		return fmt.Errorf("more than %d bytes", most)
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// excerpt is what of a refusal fits into a sentence.
func excerpt(r io.Reader) string {
	const most = 300
	b, err := io.ReadAll(io.LimitReader(r, small))
	if err != nil {
		return ""
	}
	var e struct {
		Error json.RawMessage `json:"error"`
	}
	var cause struct{ Type, Reason string }
	text := string(b)
	if json.Unmarshal(b, &e) == nil && json.Unmarshal(e.Error, &cause) == nil && cause.Type != "" {
		text = cause.Type + ": " + cause.Reason
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}
