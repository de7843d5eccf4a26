package sinktest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// unmarshal reads an answer's body.
func unmarshal(a rawAnswer, into any) error {
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		return fmt.Errorf("%d %.200s: %w", a.status, a.body, err)
	}
	return nil
}

// byStandby is the case at the address of a member that does not lead, and at that of the leader.
func (e *env) byStandby() (standby, leader *env) {
	e.Helper()
	url, err := e.target.Control.Standby()
	e.must(err)
	others := slices.DeleteFunc(slices.Clone(e.target.URLs), func(u string) bool { return u == url })
	return e.at(url), e.at(others...)
}

// standbyCases: a member that does not lead hands on what it is asked. It costs a Marathon more, so they come after what
// is shared.
var standbyCases = []testCase{
	{name: "a standby reads and writes through its leader, and says so", source: "marathon-lab-api §9 standby", how: alone, run: func(e *env) {
		standby, leader := e.byStandby()
		direct := leader.raw("GET", "/v2/info", "").header
		if direct.Get("X-Marathon-Via") != "" || direct.Get("X-Marathon-Leader") == "" {
			e.Errorf("the leader itself: %v", direct)
		}
		made := standby.raw("POST", "/v2/apps", e.json(e.app("a", 1, nil)))
		e.wantAnswer(made, 201, string(e.id("a")))
		read := standby.raw("GET", "/v2/apps"+string(e.id("a")), "")
		e.wantAnswer(read, 200, string(e.id("a")))
		for _, a := range []rawAnswer{made, read, standby.raw("GET", "/v2/info", "")} {
			if a.header.Get("X-Marathon-Via") == "" || a.header.Get("X-Marathon-Leader") != direct.Get("X-Marathon-Leader") {
				e.Errorf("via %q, leader %q, want %q", a.header.Get("X-Marathon-Via"), a.header.Get("X-Marathon-Leader"), direct.Get("X-Marathon-Leader"))
			}
		}
		standby.running("a", 1)
		leader.running("a", 1)
	}},
	{name: "a standby hands on refusals as they are", source: "marathon-lab-api §9 standby, status and bodies", how: alone, run: func(e *env) {
		s, _ := e.byStandby()
		d := s.create(e.unplaceable("a"))
		_, err := s.c.Scale(e.ctx, e.id("a"), 3, nil)
		if x := e.want(err, marathonsink.KindLocked); len(x.Deployments) != 1 || x.Deployments[0] != d {
			e.Errorf("locked by %v, want %s", x.Deployments, d)
		}
		_, err = s.c.App(e.ctx, e.id("none"))
		e.want(err, marathonsink.KindNotFound)
		_, err = s.c.Create(e.ctx, e.app("b", 0, marathon.Doc{"cpus": -1}))
		e.want(err, marathonsink.KindInvalid)
	}},
	{name: "a standby sends who asks for events to its leader", source: "marathon-lab-api §9 /v2/events", since: version(1, 6, 0), how: alone, run: func(e *env) {
		standby, leader := e.byStandby()
		a := standby.raw("GET", "/v2/events?event_type=none", "", "Accept", "text/event-stream")
		want := leader.raw("GET", "/v2/info", "").header.Get("X-Marathon-Leader") + "/v2/events?event_type=none"
		if to := a.header.Get("Location"); a.status != http.StatusFound || to != want {
			e.Errorf("%d to %q, want %q", a.status, to, want)
		}
	}},
	{name: "up to 1.5 a standby hands on events too", source: "marathon-lab-api §9 /v2/events", until: version(1, 6, 0), how: alone, run: func(e *env) {
		standby, leader := e.byStandby()
		next := standby.events("deployment_success", "event_stream_attached")
		next()
		next()
		d := leader.create(e.app("a", 0, nil))
		for !e.names(next(), d) {
		}
	}},
	{name: "a leader that is asked to abdicate leaves what is open to the next", source: "marathon-lab-api §9 DELETE /v2/leader; marathon-lab-roll §1 C3", how: first, run: func(e *env) {
		before := e.gated(1)
		d := e.commit(1, "2")
		e.inQueue("gate", true)
		e.wantAnswer(e.raw("DELETE", "/v2/leader", ""), 200, "Leadership abdicated")
		e.must(e.target.Control.AwaitLeader())
		e.until("a", "in its deployment", func(a *marathon.App) bool { return len(a.Deployments) == 1 && a.Deployments[0] == d })
		e.stays("a", 5*second, "untouched", func(a *marathon.App) bool { return untouched(before, a) && len(a.Deployments) == 1 })
		e.endCommit(d)
	}},
	// So nobody takes "not found" for a word of Marathon's while there is none.
	{name: "while nobody leads, what is missing is not told as missing", source: "marathon-lab-api §9 leader dead", how: leaders, run: func(e *env) {
		end := e.meanwhile(func() (complaint string) {
			a, err := e.try("GET", "/v2/apps"+string(e.id("none")), "")
			if err != nil || a.status/100 == 5 || a.status == 404 && a.header.Get("X-Marathon-Leader") != "" {
				return ""
			}
			return fmt.Sprintf("%d %v %.200s", a.status, a.header, a.body)
		})
		e.changeLeader()
		end()
	}},
}

// guardedCases: a Marathon that asks for a name and a password. There is no case about 403: what a name may do is decided
// by a plugin that neither Marathon itself nor the lab has.
var guardedCases = []testCase{
	{name: "without its password nothing is answered and nothing is done", source: "marathon-lab-api §11 --http_credentials", how: guarded, run: func(e *env) {
		stranger := *e
		stranger.target.User = ""
		for _, a := range []rawAnswer{stranger.raw("GET", "/v2/apps", ""), stranger.raw("GET", "/v2/info", ""), stranger.raw("GET", "/ping", ""),
			stranger.raw("GET", "/v2/events", "", "Accept", "text/event-stream"), stranger.raw("PUT", "/v2/apps"+string(e.id("a")), e.json(e.app("a", 0, nil)))} {
			if a.status != 401 || strings.HasPrefix(a.body, "<html") == e.version.AtLeast(1, 6, 0) || !strings.HasPrefix(a.header.Get("WWW-Authenticate"), "basic realm=") {
				e.Errorf("%d %v %.200s", a.status, a.header, a.body)
			}
		}
		_, err := e.c.App(e.ctx, e.id("a"))
		e.want(err, marathonsink.KindNotFound)
	}},
	{name: "a wrong password is no better than none", source: "marathon-lab-api §11 --http_credentials", how: guarded, run: func(e *env) {
		c, err := marathonsink.New(marathonsink.Options{URLs: e.target.URLs, Transport: e.target.Transport, Credentials: marathonsink.BasicAuth("esfleet", "guess")})
		e.must(err)
		e.Cleanup(c.Close)
		_, err = c.App(e.ctx, e.id("a"))
		e.want(err, marathonsink.KindUnauthorized)
		_, err = c.Create(e.ctx, e.app("a", 0, nil))
		e.want(err, marathonsink.KindUnauthorized)
		_, err = e.c.App(e.ctx, e.id("a"))
		e.want(err, marathonsink.KindNotFound)
	}},
	{name: "with its password everything is answered, and the password is nowhere told", source: "marathon-lab-api §11 /v2/info", how: guarded, run: func(e *env) {
		next := e.events("deployment_success", "event_stream_attached")
		next()
		next()
		d := e.create(e.app("a", 0, nil))
		for !e.names(next(), d) {
		}
		_, password, _ := strings.Cut(e.target.User, ":")
		if a := e.raw("GET", "/v2/info", ""); a.status != 200 || strings.Contains(a.body, password) {
			e.Errorf("%d %s", a.status, a.body)
		}
	}},
}
