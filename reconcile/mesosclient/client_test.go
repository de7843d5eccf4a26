package mesosclient

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/preflight"
)

// An agent of Mesos 1.11 with resources of every kind: free, for a role, kept for an instance of Marathon, and in use.
const agentDoc = `{"id":"S1","hostname":"host-1","active":true,"deactivated":false,"attributes":{"rack":"r1","speed":2.5,"n":3,"range":"[1-5]"},
"domain":{"fault_domain":{"region":{"name":"eu"},"zone":{"name":"z1"}}},
"resources":{"cpus":8,"mem":1000,"disk":5000,"ports":"[31000-31999]"},
"unreserved_resources_full":[
 {"name":"cpus","type":"SCALAR","scalar":{"value":4},"role":"*"},{"name":"mem","type":"SCALAR","scalar":{"value":600},"role":"*"},
 {"name":"disk","type":"SCALAR","scalar":{"value":2000},"role":"*"},
 {"name":"disk","type":"SCALAR","scalar":{"value":700},"role":"*","disk":{"source":{"type":"MOUNT","mount":{"root":"/d1"}}}},
 {"name":"disk","type":"SCALAR","scalar":{"value":900},"role":"*","disk":{"source":{"type":"PATH","path":{"root":"/d2"}}}},
 {"name":"cpus","type":"SCALAR","scalar":{"value":9},"role":"*","revocable":{}},
 {"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31000,"end":31009},{"begin":31011,"end":31999}]},"role":"*"}],
"reserved_resources_full":{
 "ads":[{"name":"cpus","type":"SCALAR","scalar":{"value":2},"role":"ads","reservations":[{"role":"ads","type":"STATIC"}]},
  {"name":"disk","type":"SCALAR","scalar":{"value":300},"role":"ads","disk":{"persistence":{"id":"x"}},"reservations":[{"role":"ads","type":"DYNAMIC"}]}],
 "search":[{"name":"cpus","type":"SCALAR","scalar":{"value":1.5},"role":"search","reservations":[{"role":"search","type":"DYNAMIC","labels":{"labels":[{"key":"marathon_task_id","value":"a_b.instance-a404c94d-e65d-11f1-b200-02fc00000001"}]}}]},
  {"name":"disk","type":"SCALAR","scalar":{"value":400},"role":"search","disk":{"persistence":{"id":"v"}},"reservation":{"labels":{"labels":[{"key":"marathon_task_id","value":"a_b.instance-a404c94d-e65d-11f1-b200-02fc00000001"}]}}},
  {"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31010,"end":31010}]},"role":"search","reservations":[{"role":"search","labels":{"labels":[{"key":"marathon_task_id","value":"a_b.instance-a404c94d-e65d-11f1-b200-02fc00000001"}]}}]}]},
"used_resources_full":[
 {"name":"cpus","type":"SCALAR","scalar":{"value":1},"role":"*"},
 {"name":"ports","type":"RANGES","ranges":{"range":[{"begin":31500,"end":31500}]},"role":"*"},
 {"name":"cpus","type":"SCALAR","scalar":{"value":0.5},"role":"ads","reservations":[{"role":"ads","type":"STATIC"}]},
 {"name":"cpus","type":"SCALAR","scalar":{"value":1.5},"role":"search","reservations":[{"role":"search","labels":{"labels":[{"key":"marathon_task_id","value":"a_b.instance-a404c94d-e65d-11f1-b200-02fc00000001"}]}}]}]}`

const rolesDoc = `{"roles":[{"name":"*"},{"name":"search","quota":{"limit":{"cpus":10},"consumed":{"cpus":4,"mem":100}}},{"name":"old","quota":{"guarantee":{"cpus":5}}}]}`

// A master answers as told, and notes what it was asked.
type master struct {
	slaves, roles string
	status        int
	location      string
	asked         []string
	secrets       []string
}

func (m *master) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.asked = append(m.asked, r.URL.Path)
	if _, p, ok := r.BasicAuth(); ok {
		m.secrets = append(m.secrets, p)
	}
	if m.location != "" {
		w.Header().Set("Location", m.location)
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	if m.status != 0 {
		w.WriteHeader(m.status)
	}
	body := m.slaves
	if strings.HasSuffix(r.URL.Path, "/roles") {
		body = m.roles
	}
	_, _ = w.Write([]byte(body)) // a client that went away learns nothing
}

func (m *master) serve(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(m)
	t.Cleanup(s.Close)
	return s.URL
}

func slaves(agents ...string) string {
	return `{"slaves":[` + strings.Join(agents, ",") + `],"recovered_slaves":[]}`
}

func pool(t *testing.T, o Options) preflight.Pool {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c.Pool(context.Background(), "search")
}

func TestAnAgentIsReadForWhatItHasLeftForWhom(t *testing.T) {
	m := &master{slaves: slaves(agentDoc), roles: rolesDoc}
	p := pool(t, Options{Addresses: []string{m.serve(t)}})
	if !p.Known || len(p.Agents) != 1 {
		t.Fatalf("%+v", p)
	}
	of := preflight.AmountOf
	const id = marathon.InstanceID("a404c94d-e65d-11f1-b200-02fc00000001")
	want := preflight.Agent{ID: "S1", Hostname: "host-1", Region: "eu", Zone: "z1",
		Attributes: map[string]string{"rack": "r1", "speed": "2.5", "n": "3", "range": "[1-5]"},
		Total:      preflight.Resources{CPUs: of(8), Mem: of(1000), Disk: of(5000), Ports: preflight.Ports{{First: 31000, Last: 31999}}},
		Free: preflight.Resources{CPUs: of(3), Mem: of(600), Disk: of(2000), Mounts: []preflight.Amount{of(700)},
			Ports: preflight.Ports{{First: 31000, Last: 31009}, {First: 31011, Last: 31499}, {First: 31501, Last: 31999}}},
		Reserved: map[string]preflight.Resources{"ads": {CPUs: of(1.5)}},
		Held:     map[marathon.InstanceID]preflight.Resources{id: {CPUs: of(1.5), Disk: of(400), Ports: preflight.Ports{{First: 31010, Last: 31010}}}},
	}
	if got, want := fmt.Sprintf("%+v", p.Agents[0]), fmt.Sprintf("%+v", want); got != want {
		t.Errorf("agent is\n%s, want\n%s", got, want)
	}
	if h := p.Headroom["search"]; len(p.Headroom) != 1 || h.CPUs == nil || *h.CPUs != of(6) || h.Mem != nil {
		t.Errorf("headroom is %+v: search may take 6 cpus more, and of all else what it likes", p.Headroom)
	}
}

func TestAgentsThatTakeNoTasksSaySo(t *testing.T) {
	agent := func(id, state string) string {
		return fmt.Sprintf(`{"id":%q,"hostname":%q,%s,"used_resources_full":[]}`, id, id, state)
	}
	m := &master{roles: rolesDoc, slaves: slaves(agent("a", `"active":true`), agent("b", `"active":false`), agent("c", `"active":false,"deactivated":true`),
		agent("d", `"active":true,"drain_info":{"state":"DRAINING"}`))}
	p := pool(t, Options{Addresses: []string{m.serve(t)}})
	var got []string
	for _, a := range p.Agents {
		got = append(got, a.Down)
	}
	if want := []string{"", "not connected", "deactivated", "draining"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWhatIsDoubtfulIsNotKnown(t *testing.T) {
	cases := []struct {
		name string
		m    master
		says string
	}{
		{"no agents", master{slaves: slaves(), roles: rolesDoc}, "may not be the leader"},
		{"a version that does not tell whose resources are used", master{slaves: slaves(`{"id":"a","hostname":"a","active":true}`), roles: rolesDoc}, "from 0.28 on"},
		{"half an answer", master{slaves: slaves(agentDoc)[:500], roles: rolesDoc}, "cannot be read"},
		{"no JSON", master{slaves: "<html>", roles: rolesDoc}, "cannot be read"},
		{"an error", master{slaves: slaves(agentDoc), roles: rolesDoc, status: 503}, "503"},
		{"roles that cannot be read", master{slaves: slaves(agentDoc), roles: "[]"}, "/master/roles"},
		{"ports that make no sense", master{slaves: slaves(`{"id":"a","hostname":"a","active":true,"used_resources_full":[],"unreserved_resources":{"ports":"[x-y]"}}`), roles: rolesDoc}, "ports"},
		{"a redirect to nowhere", master{location: "file:///etc/passwd"}, "no address"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := pool(t, Options{Addresses: []string{c.m.serve(t)}})
			if p.Known || !strings.Contains(p.Why, c.says) {
				t.Errorf("known %t: %s; want …%s…", p.Known, p.Why, c.says)
			}
		})
	}
}

func TestAMasterThatDoesNotLeadSendsOnAndSecretsStayHome(t *testing.T) {
	leader := &master{slaves: slaves(agentDoc), roles: rolesDoc}
	to := leader.serve(t)
	follower := &master{location: strings.TrimPrefix(to, "http:") + "/master/slaves"}
	at := follower.serve(t)
	if p := pool(t, Options{Addresses: []string{at}, User: "u", Password: "secret"}); !p.Known || p.Master != strings.TrimPrefix(to, "http://") {
		t.Errorf("known %t of %s: %s", p.Known, p.Master, p.Why)
	}
	if len(follower.secrets) == 0 || len(leader.secrets) != 0 {
		t.Errorf("%d calls with the password to the master that is configured, %d to one that is not", len(follower.secrets), len(leader.secrets))
	}
	if pool(t, Options{Addresses: []string{at, to}, User: "u", Password: "secret"}); len(leader.secrets) == 0 {
		t.Error("a leader that is configured got no password")
	}
	round := &master{}
	round.location = round.serve(t)
	if p := pool(t, Options{Addresses: []string{round.location}}); p.Known || len(round.asked) > 2 {
		t.Errorf("known %t after %d calls in a circle", p.Known, len(round.asked))
	}
}

func TestTheNextMasterIsAskedWhereOneIsAway(t *testing.T) {
	m := &master{slaves: slaves(agentDoc), roles: rolesDoc}
	if p := pool(t, Options{Addresses: []string{"http://127.0.0.1:1", m.serve(t)}}); !p.Known {
		t.Error(p.Why)
	}
}

// A master that never ends its answer is left when the time is over.
func TestASlowMasterIsLeft(t *testing.T) {
	left := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"slaves":[`))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
		close(left)
	}))
	defer s.Close()
	if p := pool(t, Options{Addresses: []string{s.URL}, Timeout: 50 * time.Millisecond}); p.Known {
		t.Error("half an answer is believed")
	}
	<-left
}

func TestWhatCannotBeAnAddressIsRefused(t *testing.T) {
	for _, a := range []string{"", "mesos:5050", "zk://a:2181/mesos", "http://user:pw@a:5050", "http://a:5050?x=y"} {
		if _, err := New(Options{Addresses: []string{a}}); err == nil || strings.Contains(err.Error(), "pw") {
			t.Errorf("%q: %v", a, err)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("no address at all is taken")
	}
}

func TestMarathonSaysWhereItsMesosIs(t *testing.T) {
	cases := map[string]string{
		`{"marathon_config":{"master":"zk://a:2181/mesos","mesos_leader_ui_url":"http://10.0.0.1:5050/"}}`: "http://10.0.0.1:5050",
		`{"mesos_leader_ui_url":"https://m:5050"}`:                                                         "https://m:5050",
		`{"marathon_config":{"master":"http://m:5050"}}`:                                                   "http://m:5050",
		`{"marathon_config":{"master":"zk://a:2181/mesos"}}`:                                               "",
		`{"marathon_config":{"mesos_leader_ui_url":"javascript:alert(1)"}}`:                                "",
		`[]`: "",
	}
	for info, want := range cases {
		if got := strings.Join(Addresses([]byte(info)), " "); got != want {
			t.Errorf("%s: %q, want %q", info, got, want)
		}
	}
}

// Whatever comes from the network is one line of printable text before a person sees it.
func FuzzAgents(f *testing.F) {
	f.Add(slaves(agentDoc), rolesDoc)
	f.Add(`{"slaves":[{"id":"a\n","hostname":"\u001b[31m","active":true,"used_resources_full":[{"name":"ports","ranges":{"range":[{"begin":-5,"end":9999999}]}}],"resources":{"cpus":-1e308}}]}`, `{}`)
	f.Fuzz(func(t *testing.T, slaves, roles string) {
		m := &master{slaves: slaves, roles: roles}
		c, err := New(Options{Addresses: []string{"http://mesos.test"}, Transport: inProcess{m}})
		if err != nil {
			t.Fatal(err)
		}
		p := c.Pool(context.Background(), "search")
		it := preflight.Item{App: "/a/b", Count: 2, CPUs: 1000, Ports: []int{0, 31000}}
		v := preflight.Place(&p, preflight.Ask{Items: []preflight.Item{it}})
		if strings.ContainsFunc(v.Why, func(r rune) bool { return r < ' ' }) && p.Known {
			t.Errorf("control characters reach a person: %q", v.Why)
		}
	})
}

type inProcess struct{ h http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.h.ServeHTTP(w, r)
	res := w.Result()
	res.Request = r
	return res, nil
}
