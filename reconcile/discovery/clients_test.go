package discovery

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/render/bootstrap"
)

func TestSeveralAnswersProveAnAbsenceOnlyIfOneLeaderMadeThemAll(t *testing.T) {
	a, b := server("a", 1), server("b", 2)
	by := func(leader string, s ...Server) Reading { return Reading{At: begin, Leader: leader, Running: s} }
	for _, k := range []struct {
		name string
		all  []Reading
		want Reading
	}{
		{"one alone", []Reading{by("l1", a)}, by("l1", a)},
		{"two of one leader", []Reading{by("l1", b), by("l1", a)}, by("l1", a, b)},
		{"two of two", []Reading{by("l1", a), by("l2", b)}, by("", a, b)},
		{"one of nobody", []Reading{by("", a), by("l2", b)}, by("", a, b)},
		{"a half one", []Reading{by("l1", a), {At: begin, Leader: "l1", Half: true}}, Reading{At: begin, Leader: "l1", Half: true, Running: []Server{a}}},
		{"what is unsure or refused", []Reading{{At: begin, Leader: "l1", Unsure: []marathon.InstanceID{"x"}}, {At: begin, Leader: "l1", Refused: []string{"y"}}},
			Reading{At: begin, Leader: "l1", Unsure: []marathon.InstanceID{"x"}, Refused: []string{"y"}}},
	} {
		if d := cmp.Diff(k.want, together(k.all)); d != "" {
			t.Errorf("%s: %s", k.name, d)
		}
	}
}

func TestALabelNamesWhoIsOut(t *testing.T) {
	for label, want := range map[string]string{"": "map[]", "a": "map[a:true]", " a, b,,": "map[a:true b:true]"} {
		if got := fmt.Sprint(detachedBy(&marathon.App{Labels: map[string]string{marathon.LabelDetached: label}})); got != want {
			t.Errorf("%q: %s, want %s", label, got, want)
		}
	}
}

func TestTheClientsFrontIsFilledIn(t *testing.T) {
	const text = "master {{address}}\n{{if clients}}\nbind {{client_port}}\nserver {{client_name}} {{client_address}} {{client_state}}\n{{end}}\n{{if idle_close}}\nidle\n{{end}}\n"
	a, b := Server{"a", "10.0.0.1", 1}, Server{"b", "fe80::1", 2}
	out := map[marathon.InstanceID]bool{"b": true, "unknown": true}
	for _, k := range []struct {
		name   string
		place  Place
		fronts Fronts
		want   string
	}{
		{"with a backup for who is out", Place{Clients: 9200}, Fronts{Masters: []Server{a}, Clients: []Server{a, b}, Detached: out},
			"master 10.0.0.1:1\nbind 9200\nserver c-a 10.0.0.1:1 \nserver c-b [fe80::1]:2 backup\n"},
		{"without one", Place{Clients: 9200, IdleClose: true}, Fronts{Clients: []Server{b}}, "bind 9200\nserver c-b [fe80::1]:2 \nidle\n"},
		{"not at all", Place{}, Fronts{Masters: []Server{a}, Clients: []Server{a}}, "master 10.0.0.1:1\n"},
	} {
		got, err := Expand(text, k.place, k.fronts)
		if err != nil || string(got) != k.want {
			t.Errorf("%s: %v\n%s", k.name, err, got)
		}
	}
	for text, want := range map[string]string{
		"{{address}}\n":                                      "the template never names {{client_address}}",
		"{{address}}\nserver {{client_name}}\n":              "the template never names {{client_address}}",
		"{{address}}\n{{address}} {{client_state}}\n":        "{{client_state}} is unknown here",
		"{{address}}\nbind {{client_port}} {{client_state}}": "line 2 of the template: {{client_state}} is unknown here",
	} {
		if _, err := Expand(text, Place{Clients: 9200}, Fronts{Masters: []Server{a}, Clients: []Server{a}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

const (
	dataApp  = "/search/logs/es-datanode"
	olderApp = "/search/logs/es-datanode-g1"
	gateApp  = "/search/logs/gate"
)

// withClients plays a scene in which the follower keeps a front for clients as well.
func withClients(t *testing.T, play func(s *scene)) {
	synctest.Test(t, func(t *testing.T) {
		s := &scene{T: t, sim: marathonsim.New(marathonsim.Options{}), ring: &fakeRing{}, log: &log{}}
		defer s.sim.Close()
		s.write(bootstrap.RingTemplate + bootstrap.ClientTemplate)
		s.tamper = &tamper{next: s.sim.Transport()}
		var err error
		s.client, err = marathonsink.New(marathonsink.Options{URLs: []string{"http://marathon:8080"}, Transport: noteLeader{s.tamper}})
		if err != nil {
			t.Fatal(err)
		}
		s.f = Options{App: mastersApp, PortIndex: 1, ClientApps: []marathon.AppID{dataApp, olderApp}, Gate: gateApp, Log: s.log.logger(),
			Place: Place{Bind: "*", Port: 9310, Clients: 9200}}.follower(s.client, &proxy{})
		s.f.ring, s.f.template, s.f.status.isRunning = s.ring, func() (string, error) { return *s.text.Load(), nil }, func() bool { return true }
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.f.run(ctx) }()
		defer func() { cancel(); <-done }()
		s.masters(3)
		s.nodes(dataApp, 3)
		s.put(gateApp, marathon.Doc{"instances": 0, "cmd": "sleep", "cpus": 0.1, "mem": 32})
		s.wait(30 * time.Second)
		play(s)
	})
}

func (s *scene) put(id marathon.AppID, doc marathon.Doc) {
	s.Helper()
	doc["id"] = string(id)
	if _, err := s.client.Create(s.Context(), doc); err != nil {
		s.Fatal(err)
	}
}

func (s *scene) nodes(id marathon.AppID, n int) {
	s.Helper()
	s.put(id, marathon.Doc{"cmd": "es", "cpus": 0.1, "mem": 64, "instances": n, "backoffSeconds": 1,
		"portDefinitions": []marathon.Doc{{"port": 0}, {"port": 0}}, "upgradeStrategy": marathon.Doc{"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0}})
	s.wait(30 * time.Second)
}

// out sets the gate's label.
func (s *scene) out(label string) {
	s.Helper()
	doc := marathon.Doc{"id": gateApp, "instances": 0, "cmd": "sleep", "cpus": 0.1, "mem": 32, "labels": map[string]string{marathon.LabelDetached: label}}
	if _, err := s.client.Replace(s.Context(), doc); err != nil {
		s.Fatal(err)
	}
}

// clients are the servers of the front for clients, with a star on a backup; by instance.
func (s *scene) clients() (out []string) {
	s.ring.mu.Lock()
	defer s.ring.mu.Unlock()
	for line := range strings.Lines(s.ring.configs[len(s.ring.configs)-1]) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "server" && strings.HasPrefix(f[1], "c-") {
			if f[len(f)-1] == "backup" {
				f[2] += "*"
			}
			out = append(out, f[2])
		}
	}
	return out
}

// serving are the HTTP addresses of the running tasks of an app, with a star on those of an instance; by instance.
func (s *scene) serving(star marathon.InstanceID, ids ...marathon.AppID) (out []string) {
	s.Helper()
	past, err := marathonsink.New(marathonsink.Options{URLs: []string{"http://marathon:8080"}, Transport: s.sim.Transport()})
	if err != nil {
		s.Fatal(err)
	}
	var all []Server
	for _, id := range ids {
		app, err := past.App(s.Context(), id)
		if err != nil {
			s.Fatal(err)
		}
		all = append(all, ReadingOf(app, "", 0, time.Now()).Running...)
	}
	slices.SortFunc(all, byInstance)
	for _, x := range all {
		a := x.Address()
		if x.Instance == star {
			a += "*"
		}
		out = append(out, a)
	}
	return out
}

// first is one instance of an app.
func (s *scene) first(id marathon.AppID) marathon.InstanceID {
	s.Helper()
	app, err := s.client.App(s.Context(), id)
	if err != nil {
		s.Fatal(err)
	}
	return app.Tasks[0].ID.Instance()
}

func (s *scene) wantClients(what string, want []string) {
	s.Helper()
	if got := s.clients(); !slices.Equal(got, want) {
		s.Errorf("%s: clients are led to %v, want %v\n%s", what, got, want, s.log)
	}
}

func TestTheFrontFollowsTheGatesLabel(t *testing.T) {
	withClients(t, func(s *scene) {
		s.wantClients("all in", s.serving("", dataApp))
		one := s.first(dataApp)
		s.out(string(one))
		s.wait(3 * time.Second) // by an event: far less than a resync
		s.wantClients("one out", s.serving(one, dataApp))
		if h := s.f.status.health(time.Now()); h.Servers != 3 || h.Clients != 3 || h.Out != 1 {
			t.Errorf("%+v", h)
		}
		s.out("")
		s.wait(3 * time.Second)
		s.wantClients("and back", s.serving("", dataApp))
		s.tamper.set(func(m *tamper) { m.away = true })
		s.tamper.set(func(m *tamper) { m.away, m.deaf = false, true })
		s.out(string(one))
		s.wait(35 * time.Second)
		s.wantClients("where events are lost, after a resync", s.serving(one, dataApp))
		s.tamper.set(func(m *tamper) { m.away = true })
		s.wait(5 * time.Minute)
		s.wantClients("while Marathon is away", s.serving(one, dataApp))
		s.want("the ring is as it was", s.running())
	})
}

func TestTheFrontLeadsToEveryGenerationThatRuns(t *testing.T) {
	withClients(t, func(s *scene) {
		s.nodes(olderApp, 2)
		s.wantClients("both", s.serving("", dataApp, olderApp))
		if _, err := s.client.Scale(s.Context(), olderApp, 0, nil); err != nil {
			t.Fatal(err)
		}
		s.wait(time.Minute)
		s.wantClients("the older one has stopped", s.serving("", dataApp))
		if _, err := s.client.Delete(s.Context(), olderApp); err != nil {
			t.Fatal(err)
		}
		s.wait(time.Minute)
		s.wantClients("and is gone", s.serving("", dataApp))
		if h := s.f.status.health(time.Now()); h.Marathon != "" {
			t.Errorf("an app that is not there is no fault: %+v", h)
		}
		before := s.clients()
		if _, err := s.client.Scale(s.Context(), dataApp, 0, nil); err != nil {
			t.Fatal(err)
		}
		s.wait(5 * time.Minute)
		s.wantClients("nobody is left, and the last stay", before)
	})
}

// Whatever is wrong with one front's apps, the other one is kept current.
func TestAnAppThatCannotBeReadKeepsNothingElseFromBeingFollowed(t *testing.T) {
	withClients(t, func(s *scene) {
		if _, err := s.client.Delete(s.Context(), gateApp); err != nil {
			t.Fatal(err)
		}
		s.killOne()
		s.wait(time.Minute)
		s.want("without a gate", s.running())
		s.delete()
		if _, err := s.client.Scale(s.Context(), dataApp, 2, nil); err != nil {
			t.Fatal(err)
		}
		s.wait(2 * time.Minute)
		s.wantClients("without masters", s.serving("", dataApp))
		if n := len(s.ringHas()); n != 3 {
			t.Errorf("%d masters are left", n)
		}
	})
}

// A server is a node that serves clients: it says its name, and a request for /slow ends when the test says so.
type serverNode struct {
	Server
	slow chan struct{}
}

func serve(t *testing.T, name string) serverNode {
	n := serverNode{slow: make(chan struct{})}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			_, _ = io.WriteString(w, "begun ")
			w.(http.Flusher).Flush()
			<-n.slow
		}
		_, _ = io.WriteString(w, name)
	}))
	t.Cleanup(s.Close)
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n.Server = Server{Instance: marathon.InstanceID(name), Host: host}
	n.Port, err = strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A clientsFront is a real HAProxy in front of two nodes.
type clientsFront struct {
	t     *testing.T
	p     *proxy
	place Place
	nodes []Server
}

func newClientsFront(t *testing.T, nodes ...Server) *clientsFront {
	p := newProxy(t, &log{})
	f := &clientsFront{t: t, p: p, nodes: nodes, place: Place{Bind: "127.0.0.1", Port: freePort(t, "127.0.0.1"), Clients: freePort(t, "127.0.0.1"),
		IdleClose: p.knows(t.Context(), "option idle-close-on-response")}}
	f.out()
	start(t, p)
	eventually(t, "it leads to a node", func() bool {
		res, err := http.Get(f.url("/"))
		if err != nil {
			return false
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	return f
}

func (f *clientsFront) url(path string) string {
	return "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(f.place.Clients)) + path
}

// out brings a configuration into force in which clients are led away from these.
func (f *clientsFront) out(names ...marathon.InstanceID) {
	f.t.Helper()
	d := map[marathon.InstanceID]bool{}
	for _, n := range names {
		d[n] = true
	}
	config, err := Expand(bootstrap.RingTemplate+bootstrap.ClientTemplate, f.place, Fronts{Clients: f.nodes, Detached: d})
	if err == nil {
		_, err = f.p.install(f.t.Context(), config)
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// asks sends n requests, one after the other, and counts who answered.
func (f *clientsFront) asks(c *http.Client, n int) map[string]int {
	f.t.Helper()
	got := map[string]int{}
	for range n {
		res, err := c.Get(f.url("/"))
		if err != nil {
			f.t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK {
			f.t.Fatalf("%s: %v, %s", res.Status, err, b)
		}
		got[string(b)]++
	}
	return got
}

func newClient(t *testing.T) *http.Client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func TestARequestEndsOnTheNodeThatClientsAreLedAwayFrom(t *testing.T) {
	a, b := serve(t, "a"), serve(t, "b")
	f := newClientsFront(t, a.Server, b.Server)
	open := newClient(t) // whose one connection stays open all the time
	if got := f.asks(open, 20); got["a"] == 0 || got["b"] == 0 {
		t.Fatalf("both are in: %v", got)
	}

	// Two requests at once have come to both.
	var slow []*http.Response
	for range 2 {
		res, err := newClient(t).Get(f.url("/slow"))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		slow = append(slow, res)
	}
	f.out("a")
	// The first may still come by the connection that was open before; its answer ends that connection.
	f.asks(open, 1)
	for name, c := range map[string]*http.Client{"whose connection stays open": open, "who comes anew": newClient(t)} {
		if got := f.asks(c, 20); got["b"] != 20 {
			t.Errorf("a client %s is led to %v", name, got)
		}
	}
	close(a.slow)
	close(b.slow)
	ended := map[string]int{}
	for _, res := range slow {
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Errorf("a request was cut: %v", err)
		}
		ended[string(body)]++
	}
	if ended["begun a"] != 1 || ended["begun b"] != 1 {
		t.Errorf("the requests ended on %v", ended)
	}

	f.out()
	f.asks(open, 1)
	eventually(t, "clients are led back", func() bool { got := f.asks(open, 20); return got["a"] > 0 && got["b"] > 0 })
}

// A label never leaves clients without anybody.
func TestWhoIsOutStillServesWhereNobodyElseDoes(t *testing.T) {
	a, b := serve(t, "a"), serve(t, "b")
	gone := Server{Instance: "gone", Host: "127.0.0.1", Port: freePort(t, "127.0.0.1")}
	f := newClientsFront(t, a.Server, gone)
	f.out("a")
	eventually(t, "the other one is found dead", func() bool {
		res, err := http.Get(f.url("/"))
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	if got := f.asks(newClient(t), 5); got["a"] != 5 {
		t.Errorf("%v", got)
	}
	f.nodes = []Server{a.Server, b.Server}
	f.out("a", "b")
	if got := f.asks(newClient(t), 5); got["a"]+got["b"] != 5 {
		t.Errorf("all are out: %v", got)
	}
}

// A client that sends a request just when HAProxy takes another configuration would see its connection closed under it.
func TestAnIdleConnectionEndsWithAnAnswer(t *testing.T) {
	a, b := serve(t, "a"), serve(t, "b")
	f := newClientsFront(t, a.Server, b.Server)
	if !f.place.IdleClose {
		t.Skip("this HAProxy closes idle connections when it reloads")
	}
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url(""), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(conn)
	ask := func() *http.Response {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: es\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("no answer: %v", err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		return res
	}
	if ask().Close {
		t.Error("the connection was to stay open")
	}
	f.out("a")
	f.out() // two reloads: the workers that know the connection have long been told to end
	if !ask().Close {
		t.Error("the connection stays with a worker that ends")
	}
	if f.p.knows(t.Context(), "option no-such-option") {
		t.Error("HAProxy knows every option")
	}
}

// While a node goes out and in, again and again, no request of clients that never rest is lost.
func TestNoRequestIsLostWhileNodesGoOutAndIn(t *testing.T) {
	a, b := serve(t, "a"), serve(t, "b")
	f := newClientsFront(t, a.Server, b.Server)
	if !f.place.IdleClose {
		t.Skip("this HAProxy closes idle connections when it reloads")
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	requests := make([]int, 4)
	for i := range requests {
		c := newClient(t)
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				// A POST is never sent again by the client itself.
				res, err := c.Post(f.url("/"), "application/json", strings.NewReader("{}"))
				if err != nil {
					t.Errorf("request %d: %v", requests[i], err)
					return
				}
				_, err = io.Copy(io.Discard, res.Body)
				res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK {
					t.Errorf("request %d: %s, %v", requests[i], res.Status, err)
				}
				requests[i]++
			}
		})
	}
	for range 2 {
		f.out("a")
		f.out()
		f.out("b")
		f.out()
	}
	close(done)
	wg.Wait()
	for i, n := range requests {
		if n < 20 {
			t.Errorf("client %d made only %d requests", i, n)
		}
	}
	t.Logf("8 reloads, requests %v", requests)
}
