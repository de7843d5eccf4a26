package marathonsink

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

const secret = "hunter2-canary"

func TestEveryRequestCarriesTheCredentials(t *testing.T) {
	for name, k := range map[string]struct {
		cred Credentials
		want string
	}{
		"basic":  {BasicAuth("u", secret), "Basic dTpodW50ZXIyLWNhbmFyeQ=="},
		"bearer": {BearerToken(secret), "Bearer " + secret},
		"none":   {Credentials{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := always(200, accepted)
			c := newClient(t, Options{Transport: f, Credentials: k.cred})
			for _, w := range writes {
				if err := w.do(c, background); err != nil {
					t.Fatal(err)
				}
			}
			_, _ = c.Info(background)
			for _, a := range f.asked() {
				if a.authorization != k.want {
					t.Errorf("%s %s carried %q", a.method, a.uri, a.authorization)
				}
			}
		})
	}
}

// roundTrip, unlike a fake, remembers nothing that could be printed.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCredentialsNeverShowThemselves(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	o := Options{URLs: []string{"http://m1:8080"}, Credentials: BearerToken(secret), Logger: logger, Transport: roundTrip(func(*http.Request) (*http.Response, error) { return reply(500, `{"message":"x"}`), nil })}
	c := newClient(t, o)
	_, err := c.Create(background, marathon.Doc{"id": "/a", "env": map[string]any{"PASSWORD": secret}})
	_, readErr := c.State(background, nil)
	for _, v := range []any{o, &o, o.Credentials, c, *o.Logger, err, readErr} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if strings.Contains(fmt.Sprintf(verb, v), secret) {
				t.Errorf("%s of %T shows the secret", verb, v)
			}
		}
	}
	logger.Info("x", "credentials", o.Credentials, "client", c)
	//lint:ignore SA9005 that nothing of it is marshalled is what is tested
	if b, err := json.Marshal(o.Credentials); err == nil && bytes.Contains(b, []byte(secret)) {
		t.Error("JSON shows the secret")
	}
	if log.Len() == 0 || strings.Contains(log.String(), secret) {
		t.Errorf("log: %s", log.String())
	}
}

func TestURLsThatWouldLeakOrMisleadAreRefused(t *testing.T) {
	for _, u := range []string{"", "marathon:8080", "ftp://m", "http://", "http://u:" + secret + "@m:8080", "http://m?x=" + secret, "http://m#x", "http://[::1", "http://" + secret + " x"} {
		_, err := New(Options{URLs: []string{"http://m1:8080", u}})
		if err == nil {
			t.Errorf("%q was accepted", u)
		} else if strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), "address 2") {
			t.Errorf("%q: %v", u, err)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("no URL was accepted")
	}
}

func TestEventsFollowTheLeaderOnlyToConfiguredURLsWithCredentials(t *testing.T) {
	for location, allowed := range map[string]bool{
		"http://m2:8080/v2/events":         true,
		"http://evil:8080/v2/events":       false,
		"https://m2:8080/v2/events":        false, // another scheme is another server
		"http://m2:8081/v2/events":         false,
		"http://m2:8080@evil/v2/events":    false,
		"//evil/v2/events":                 false,
		"http://m1:8080.evil.io/v2/events": false,
		"":                                 true, // itself, which redirects again and is given up
	} {
		t.Run(location, func(t *testing.T) {
			f := &fake{answer: func(r *http.Request) (*http.Response, error) {
				if r.URL.Host == "m2:8080" {
					return reply(200, "\r\n", "Content-Type", "text/event-stream"), nil
				}
				return reply(302, "", "Location", location), nil
			}}
			c := newClient(t, Options{Transport: f, URLs: []string{"http://m1:8080", "http://m2:8080"}, Credentials: BearerToken(secret)})
			res, err := c.openStream(background, c.urls[0], []string{"a", "b"})
			if res != nil {
				_ = res.Body.Close()
			}
			for _, a := range f.asked() {
				if a.host != "m1:8080" && a.host != "m2:8080" {
					t.Errorf("asked %s with %q", a.host, a.authorization)
				}
				if a.authorization == "" || a.uri != "/v2/events?event_type=a&event_type=b&plan-format=light" {
					t.Errorf("asked %+v", a)
				}
			}
			reached := len(f.asked()) == 2
			if reached != allowed || (location == "http://m2:8080/v2/events") != (err == nil) {
				t.Errorf("followed: %v, error %v", reached, err)
			}
		})
	}
}
