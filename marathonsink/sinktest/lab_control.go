package sinktest

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

var _ Control = (*Lab)(nil)

// KillTask ends a task's process as kill -9 does.
func (l *Lab) KillTask(id marathon.TaskID) error {
	return l.control("/task/kill9", url.Values{"id": {string(id)}})
}

// LoseAgent parts an agent from the master; its tasks run on.
func (l *Lab) LoseAgent(host string) error {
	return l.control("/agent/lost", url.Values{"id": {host}, "mode": {"partition"}})
}

// BackAgent ends the partition.
func (l *Lab) BackAgent(host string) error { return l.control("/agent/back", url.Values{"id": {host}}) }

// PauseOffers makes the master offer nothing.
func (l *Lab) PauseOffers() error { return l.control("/offers/pause", nil) }

// ResumeOffers makes it offer again.
func (l *Lab) ResumeOffers() error { return l.control("/offers/resume", nil) }

// FailNextLaunches makes the next n tasks fail at their launch.
func (l *Lab) FailNextLaunches(n int) error {
	return l.control("/fail-next-launch", url.Values{"n": {strconv.Itoa(n)}})
}

func (l *Lab) control(path string, query url.Values) error {
	return post("http://127.0.0.1:" + l.addresses[l.leading].control + path + "?" + query.Encode())
}

func post(target string) error {
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Post(target, "", nil)
	if err != nil {
		return fmt.Errorf("POST %s: %w", target, err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(res.Body, 1000))
	if res.StatusCode/100 != 2 {
		return fmt.Errorf("POST %s: %s %s", target, res.Status, b)
	}
	return nil
}
