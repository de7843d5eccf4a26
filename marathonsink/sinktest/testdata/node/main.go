// Command node is what the suite's apps run on a real Marathon: it hands every request on its first port to the
// switchboard of the test, which decides what this node answers.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

func main() {
	app, task, host := os.Getenv("MARATHON_APP_ID"), os.Getenv("MESOS_TASK_ID"), os.Getenv("HOST")
	board := &http.Client{Timeout: 3 * time.Second}
	answer := func(w http.ResponseWriter, r *http.Request) {
		ask := url.Values{"app": {app}, "task": {task}, "path": {r.URL.Path}}
		res, err := board.Get(os.Args[1] + "?" + ask.Encode())
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	}
	go endWithBoard(board)
	err := http.ListenAndServe(net.JoinHostPort(host, os.Getenv("PORT0")), http.HandlerFunc(answer))
	fmt.Fprintln(os.Stderr, "node:", err)
	os.Exit(1)
}

// endWithBoard ends the process when the switchboard has been gone for half a minute: the test ended, however it did.
func endWithBoard(board *http.Client) {
	for failures := 0; failures < 6; failures++ {
		time.Sleep(5 * time.Second)
		if res, err := board.Get(os.Args[1]); err == nil {
			_ = res.Body.Close()
			failures = -1
		}
	}
	os.Exit(1)
}
