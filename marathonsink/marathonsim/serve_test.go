package marathonsim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/esfleet/esfleet/marathonsink/marathonsim"
)

func TestOverSocketsMarathonAndTheTasksOfSimulatedAgentsAnswer(t *testing.T) {
	sim := marathonsim.New(marathonsim.Options{LaunchDelay: 1, StartDelay: 1, Programs: func(task marathonsim.Task) marathonsim.Program { return echo{task} }})
	defer sim.Close()
	ctx, stop := context.WithCancel(context.Background())
	bound, done := make(chan net.Addr, 1), make(chan error, 1)
	go func() { done <- sim.ListenAndServe(ctx, "127.0.0.1:0", func(a net.Addr) { bound <- a }) }()
	base := "http://" + (<-bound).String()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	events := watchEvents(t, sim.Transport(), "?event_type=status_update_event")

	body := `{"id":"/a","cmd":"run","instances":1,"portDefinitions":[{"port":0,"name":"http"}]}`
	resp, err := client.Post(base+"/v2/apps", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 201 || resp.Header.Get("X-Marathon-Leader") != base {
		t.Errorf("POST: %d, leader %q, want 201 and %s", resp.StatusCode, resp.Header.Get("X-Marathon-Leader"), base)
	}
	e := events.until(status("TASK_RUNNING"))
	address := fmt.Sprintf("http://%v:%v/over/there", e["host"], e["ports"].([]any)[0])
	resp, err = client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if want := "/a got /over/there"; string(got) != want {
		t.Errorf("the task answers %q, want %q", got, want)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("after its context ended: %v", err)
	}
	if _, err := client.Get(address); err == nil {
		t.Error("the task's door is still open")
	}
}

// echo is a Program that says who it is and what it was asked.
type echo struct{ task marathonsim.Task }

func (echo) Run(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func (e echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s got %s", e.task.App, r.URL.Path)
}

func TestAgentsCanBeWrittenAsJSON(t *testing.T) {
	var a marathonsim.Agent
	in := `{"hostname":"127.0.0.21","cpus":4,"mem":1024,"disk":500,"ports":["9200","31000-31099"],"attributes":{"rack":"r1"}}`
	if err := json.Unmarshal([]byte(in), &a); err != nil {
		t.Fatal(err)
	}
	if a.Hostname != "127.0.0.21" || len(a.Ports) != 2 || a.Ports[0] != (marathonsim.PortRange{First: 9200, Last: 9200}) || a.Ports[1].Last != 31099 {
		t.Errorf("%+v", a)
	}
	err := json.Unmarshal([]byte(`{"ports":["31999-31000"]}`), &a)
	if err == nil || !strings.Contains(err.Error(), `write "31000-31999"`) {
		t.Errorf("a range upside down: %v", err)
	}
	if out, err := json.Marshal(a.Ports[0]); err != nil || !bytes.Contains(out, []byte("-")) {
		t.Errorf("%s %v", out, err)
	}
}
