// Package mesosclient asks a Mesos master what its agents have left.
//
// In: addresses of masters. Out: a preflight.Pool, "not known" with the reason wherever there is any doubt. It only reads,
// and what it reads is bounded in time and size. A master that does not lead sends it on to the one that does, once.
package mesosclient

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/reconcile/preflight"
)

// Options say how to reach the masters of one Mesos.
type Options struct {
	// Addresses of masters, http://host:port; the first that answers is believed.
	Addresses []string
	// User and Password, if set, go to these addresses and nowhere else.
	User, Password string
	Transport      http.RoundTripper
	// Timeout bounds each exchange; 10 s if zero.
	Timeout time.Duration
}

const (
	// maxBody bounds an answer. An agent takes some 10 to 50 KB.
	maxBody        = 256 << 20
	defaultTimeout = 10 * time.Second
)

// A Client asks one Mesos.
type Client struct {
	o         Options
	addresses []*url.URL
	http      *http.Client
}

// New makes a client and sends nothing.
func New(o Options) (*Client, error) {
	c := &Client{o: o, http: &http.Client{Transport: o.Transport, Timeout: cmp.Or(o.Timeout, defaultTimeout),
		// Redirects are followed here, by hand: the credentials must not go where an answer says.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	for i, s := range o.Addresses {
		u, err := url.Parse(strings.TrimSuffix(s, "/"))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" {
			return nil, fmt.Errorf("address %d of Mesos is not of the form http://host:port", i+1)
		}
		c.addresses = append(c.addresses, u)
	}
	if len(c.addresses) == 0 {
		return nil, errors.New("no address of a Mesos master")
	}
	return c, nil
}

// Pool reads the agents, and the limits of roles, for a Marathon that takes resources for role.
func (c *Client) Pool(ctx context.Context, role string) preflight.Pool {
	var why []string
	for _, u := range c.addresses {
		p, err := c.read(ctx, u, role)
		if err == nil {
			return p
		}
		why = append(why, err.Error())
		if ctx.Err() != nil {
			break
		}
	}
	return preflight.Pool{Why: strings.Join(why, "; "), Role: role, At: time.Now()}
}

func (c *Client) read(ctx context.Context, at *url.URL, role string) (preflight.Pool, error) {
	p := preflight.Pool{Role: role, At: time.Now()}
	var slaves struct {
		Slaves    []slave
		Recovered []struct{} `json:"recovered_slaves"`
	}
	leader, err := c.get(ctx, at, "/master/slaves", &slaves)
	if err != nil {
		return p, err
	}
	fail := func(err error) (preflight.Pool, error) {
		return p, fmt.Errorf("read the agents from Mesos at %s: %w", leader.Host, err)
	}
	if len(slaves.Slaves) == 0 {
		return fail(errors.New("it shows none: it may not be the leader, or has only just become it"))
	}
	for i := range slaves.Slaves {
		a, err := slaves.Slaves[i].agent()
		if err != nil {
			return fail(err)
		}
		p.Agents = append(p.Agents, a)
	}
	slices.SortFunc(p.Agents, func(a, b preflight.Agent) int {
		return cmp.Or(cmp.Compare(a.Hostname, b.Hostname), cmp.Compare(a.ID, b.ID))
	})
	var roles struct{ Roles []mesosRole }
	if _, err := c.get(ctx, leader, "/master/roles", &roles); err != nil {
		return p, err
	}
	p.Headroom, p.Returning = headroom(roles.Roles), len(slaves.Recovered)
	p.Known, p.Master = true, leader.Host
	return p, nil
}

// get reads one answer, from the leader if at knows who that is, and says who answered.
func (c *Client) get(ctx context.Context, at *url.URL, path string, into any) (*url.URL, error) {
	for range 2 {
		to, err := c.ask(ctx, at, path, into)
		if err != nil {
			return nil, fmt.Errorf("GET %s%s: %w", at, path, err)
		}
		if to == nil {
			return at, nil
		}
		at = to
	}
	return nil, fmt.Errorf("GET %s%s: sent on from one Mesos master to the next", at, path)
}

// ask makes one call. It gives the address of the leader if the answer is to go there.
func (c *Client) ask(ctx context.Context, at *url.URL, path string, into any) (*url.URL, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String()+path, nil)
	if err != nil {
		return nil, err
	}
	if c.o.User != "" && slices.ContainsFunc(c.addresses, func(u *url.URL) bool { return u.Host == at.Host && u.Scheme == at.Scheme }) {
		req.SetBasicAuth(c.o.User, c.o.Password)
	}
	res, err := c.http.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // who reads it is told the address already
		}
		return nil, err
	}
	defer res.Body.Close() //nolint:errcheck // read-only
	switch {
	case res.StatusCode == http.StatusTemporaryRedirect || res.StatusCode == http.StatusFound:
		to, err := res.Location()
		if err != nil || to.Scheme != "http" && to.Scheme != "https" || to.Host == "" {
			return nil, errors.New("sends on to no address")
		}
		return &url.URL{Scheme: to.Scheme, Host: to.Host}, nil
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("answered %s", res.Status)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxBody)).Decode(into); err != nil {
		return nil, fmt.Errorf("its answer cannot be read: %w", err)
	}
	return nil, nil
}

// Addresses are where the Mesos of a Marathon may be asked, by its own /v2/info; none if it does not say.
func Addresses(info json.RawMessage) []string {
	var i struct {
		UI     string `json:"mesos_leader_ui_url"`
		Config struct {
			UI     string `json:"mesos_leader_ui_url"`
			Master string `json:"master"`
		} `json:"marathon_config"`
	}
	if json.Unmarshal(info, &i) != nil {
		return nil
	}
	for _, s := range []string{i.Config.UI, i.UI, i.Config.Master} {
		if u, err := url.Parse(s); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
			return []string{u.Scheme + "://" + u.Host}
		}
	}
	return nil
}
