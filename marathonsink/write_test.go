package marathonsink

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

const accepted = `{"version":"2026-11-22T01:28:14.829Z","deploymentId":"d-1"}`

// writes are all calls that change something, each with what must go over the wire.
var writes = []struct {
	name      string
	do        func(*Client, context.Context) error
	method    string
	uri, body string
}{
	{"create", func(c *Client, ctx context.Context) error {
		_, err := c.Create(ctx, marathon.Doc{"id": "/a/b", "env": map[string]any{}, "role": "x"})
		return err
	}, "POST", "/v2/apps", `{"env":{},"id":"/a/b","role":"x"}`},
	{"replace one", func(c *Client, ctx context.Context) error {
		_, err := c.Replace(ctx, marathon.Doc{"id": "/a/b", "cpus": json.Number("0.30000000000000004"), "cmd": "a < b"})
		return err
	}, "PUT", "/v2/apps/a/b?partialUpdate=false", `{"cmd":"a < b","cpus":0.30000000000000004,"id":"/a/b"}`},
	{"replace several", func(c *Client, ctx context.Context) error {
		_, err := c.Replace(ctx, marathon.Doc{"id": "/a/b"}, marathon.Doc{"id": "/a/c"})
		return err
	}, "PUT", "/v2/apps?partialUpdate=false", `[{"id":"/a/b"},{"id":"/a/c"}]`},
	{"scale", func(c *Client, ctx context.Context) error {
		_, err := c.Scale(ctx, "/a/b", 3, marathon.Doc{"resourceLimits": marathon.Doc{"cpus": "unlimited"}})
		return err
	}, "PUT", "/v2/apps/a/b", `{"instances":3,"resourceLimits":{"cpus":"unlimited"}}`},
	{"kill with scale", func(c *Client, ctx context.Context) error {
		_, err := c.KillTask(ctx, "/a/b", "a_b.instance-fd0005a6-e613-11f1-84e4-02fc00000001._app.1", true)
		return err
	}, "DELETE", "/v2/apps/a/b/tasks/a_b.instance-fd0005a6-e613-11f1-84e4-02fc00000001._app.1?scale=true", ""},
	{"kill", func(c *Client, ctx context.Context) error {
		_, err := c.KillTask(ctx, "/a/b", "a_b.u.2", false)
		return err
	}, "DELETE", "/v2/apps/a/b/tasks/a_b.u.2", ""},
	{"wipe", func(c *Client, ctx context.Context) error {
		return c.WipeTask(ctx, "/a/b", "a_b.u.2")
	}, "DELETE", "/v2/apps/a/b/tasks/a_b.u.2?wipe=true", ""},
	{"delete", func(c *Client, ctx context.Context) error {
		_, err := c.Delete(ctx, "/a/b")
		return err
	}, "DELETE", "/v2/apps/a/b?force=false", ""},
	{"cancel", func(c *Client, ctx context.Context) error {
		return c.Cancel(ctx, "2eac45ef-2245-4623-9264-71a4280acbb7")
	},
		"DELETE", "/v2/deployments/2eac45ef-2245-4623-9264-71a4280acbb7?force=true", ""},
}

func TestEachWriteIsOneRequestWithTheWholeDocumentAndWithoutForce(t *testing.T) {
	for _, w := range writes {
		t.Run(w.name, func(t *testing.T) {
			f := always(200, accepted)
			if err := w.do(newClient(t, Options{Transport: f}), background); err != nil {
				t.Fatal(err)
			}
			want := ask{method: w.method, host: "m1:8080", uri: w.uri, body: w.body}
			if got := f.asked(); len(got) != 1 || got[0] != want {
				t.Errorf("asked %+v, want %+v", got, want)
			}
		})
	}
}

func TestAWriteWhoseOutcomeIsUnknownIsSentOnceAndSaysSo(t *testing.T) {
	outcomes := []struct {
		name string
		fail func() (*http.Response, error)
	}{
		{"500 after the work", func() (*http.Response, error) { return reply(500, `{"message":"boom"}`), nil }},
		{"empty 502 of a standby", func() (*http.Response, error) { return reply(502, "", "X-Marathon-Leader", ""), nil }},
		{"503 of a leader", func() (*http.Response, error) { return reply(503, ""), nil }},
		{"504 of a proxy", func() (*http.Response, error) { return reply(504, "<html>", "X-Marathon-Leader", ""), nil }},
		{"404 of a proxy", func() (*http.Response, error) { return reply(404, "<html>", "X-Marathon-Leader", ""), nil }},
		{"200 of a proxy", func() (*http.Response, error) { return reply(200, accepted, "X-Marathon-Leader", ""), nil }},
		{"redirect", func() (*http.Response, error) { return reply(307, "", "Location", "http://m2:8080/v2/apps"), nil }},
		{"connection lost", func() (*http.Response, error) {
			return nil, &net.OpError{Op: "read", Net: "tcp", Err: errors.New("connection reset by peer")}
		}},
		{"answer cut", func() (*http.Response, error) {
			res := reply(200, "")
			res.Body = cutBody{strings.NewReader(accepted[:20])}
			return res, nil
		}},
	}
	for _, w := range writes {
		for _, o := range outcomes {
			t.Run(w.name+", "+o.name, func(t *testing.T) {
				f := &fake{answer: func(*http.Request) (*http.Response, error) { return o.fail() }}
				c := newClient(t, Options{Transport: f, URLs: []string{"http://m1:8080", "http://m2:8080"}})
				e := wantKind(t, w.do(c, background), KindUnknown)
				if !strings.Contains(e.Error(), "look before the next write") {
					t.Errorf("%q does not say what to do", e)
				}
				if n := len(f.asked()); n != 1 {
					t.Errorf("sent %d times", n)
				}
			})
		}
	}
}

func TestAnAnswerWithoutADeploymentLeavesTheOutcomeUnknown(t *testing.T) {
	for _, body := range []string{`{}`, ``, `"yes"`, `{"deploymentId":""}`} {
		_, err := newClient(t, Options{Transport: always(200, body)}).Create(background, marathon.Doc{"id": "/a"})
		wantKind(t, err, KindUnknown)
	}
}

func TestTheDeploymentIsFoundInHeaderBodyOrCreatedApp(t *testing.T) {
	for name, f := range map[string]*fake{
		"header":      always(201, `{"id":"/a"}`, "Marathon-Deployment-Id", "d-1"),
		"body":        always(200, accepted),
		"created app": always(201, `{"id":"/a","deployments":[{"id":"d-1"}]}`),
	} {
		id, err := newClient(t, Options{Transport: f}).Create(background, marathon.Doc{"id": "/a"})
		if err != nil || id != "d-1" {
			t.Errorf("%s: %q, %v", name, id, err)
		}
	}
}

func TestAPlainKillBelievesTheStatusWhateverTheBodyHolds(t *testing.T) {
	// 1.5 answers with an internal form without any id (marathon-lab-old §7).
	f := always(200, `{"task":{"instanceId":{"idString":"a.u"},"agentInfo":{}}}`)
	id, err := newClient(t, Options{Transport: f}).KillTask(background, "/a", "a.u", false)
	if err != nil || id != "" {
		t.Errorf("%q, %v", id, err)
	}
}

func TestRequestsAboveTheSafeSizeAreRefusedBeforeSending(t *testing.T) {
	f := always(200, accepted)
	c := newClient(t, Options{Transport: f})
	big := strings.Repeat("x", maxRequestBody/2)
	_, err := c.Replace(background, marathon.Doc{"id": "/a", "cmd": big})
	if err != nil {
		t.Fatalf("half the limit: %v", err)
	}
	_, err = c.Create(background, marathon.Doc{"id": "/a", "cmd": big + big})
	wantKind(t, err, KindTooLarge)
	_, err = c.Replace(background, marathon.Doc{"id": "/a", "cmd": big}, marathon.Doc{"id": "/b", "cmd": big})
	wantKind(t, err, KindTooLarge)
	if n := len(f.asked()); n != 1 {
		t.Errorf("sent %d requests, want only the small one", n)
	}
}

func TestIdsThatWouldAddressSomethingElseAreRefusedBeforeSending(t *testing.T) {
	f := always(200, accepted)
	c := newClient(t, Options{Transport: f})
	for _, id := range []marathon.AppID{"", "/", "a", "/a/", "/a//b", "/a/../b", "/..", "/a/.b", "/a?force=true", "/a#b", "/a b", "/A", "/a%2fb", "/a./b", "/ü"} {
		_, err := c.Create(background, marathon.Doc{"id": string(id)})
		wantKind(t, err, KindInvalid)
		_, err = c.Scale(background, id, 1, nil)
		wantKind(t, err, KindInvalid)
		_, err = c.App(background, id)
		wantKind(t, err, KindInvalid)
		_, err = c.KillTask(background, id, "t", true)
		wantKind(t, err, KindInvalid)
	}
	for _, id := range []string{"", "..", "a/b", "a?force=true", "a%2e", "*"} {
		wantKind(t, c.Cancel(background, marathon.DeploymentID(id)), KindInvalid)
		_, err := c.KillTask(background, "/a", marathon.TaskID(id), true)
		wantKind(t, err, KindInvalid)
	}
	_, err := c.Scale(background, "/a", -1, nil)
	wantKind(t, err, KindInvalid)
	_, err = c.Replace(background)
	wantKind(t, err, KindInvalid)
	_, err = c.Replace(background, marathon.Doc{"id": "/a"}, marathon.Doc{})
	wantKind(t, err, KindInvalid)
	_, err = c.Create(background, marathon.Doc{"id": "/a", "cmd": func() {}})
	wantKind(t, err, KindInvalid)
	if got := f.asked(); len(got) != 0 {
		t.Errorf("sent %+v", got)
	}
}

func TestAWriteThatFoundNoConnectionWasNotSent(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	c := newClient(t, Options{URLs: []string{"http://" + addr}})
	_, err = c.Create(background, marathon.Doc{"id": "/a"})
	e := wantKind(t, err, KindUnreachable)
	if strings.Contains(e.Error(), "look before") {
		t.Errorf("%q claims that something may have been applied", e)
	}
	_, err = c.State(background, nil)
	wantKind(t, err, KindUnreachable)
}

func TestASlowAnswerToAWriteIsUnknownAfterTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{answer: func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}}
		c := newClient(t, Options{Transport: f})
		for _, w := range writes {
			err := w.do(c, background)
			wantKind(t, err, KindUnknown)
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v does not tell that time ran out", w.name, err)
			}
		}
	})
}

func TestACanceledWriteIsUnknownAndACanceledReadIsCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(background)
	f := &fake{answer: func(r *http.Request) (*http.Response, error) {
		cancel()
		<-r.Context().Done()
		return nil, r.Context().Err()
	}}
	c := newClient(t, Options{Transport: f})
	_, err := c.Create(ctx, marathon.Doc{"id": "/a"})
	wantKind(t, err, KindUnknown)
	_, err = c.App(ctx, "/a")
	wantKind(t, err, KindCanceled)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v is not context.Canceled", err)
	}
}
