// Command node stands in for bin/elasticsearch: it starts as the boot script says, keeps a mark on its volume, answers the
// health check and the readiness check, and holds a connection to the test's board as long as it lives. The board knows
// from that very connection when a node is up and when it has gone.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

func main() {
	fmt.Fprintln(os.Stderr, "node:", run())
	os.Exit(1)
}

func run() error {
	settings, err := read(filepath.Join(os.Getenv("ES_PATH_CONF"), "elasticsearch.yml"))
	if err != nil {
		return err
	}
	mark, fresh, err := markOf(settings["path.data"])
	if err != nil {
		return err
	}
	web, err := net.Listen("tcp", net.JoinHostPort(settings["network.host"], settings["http.port"]))
	if err != nil {
		return err
	}
	address, err := os.ReadFile(filepath.Join(os.Getenv("ES_PATH_CONF"), "board"))
	if err != nil {
		return err
	}
	board, err := net.Dial("tcp", string(address))
	if err != nil {
		return err
	}
	if err := json.NewEncoder(board).Encode(map[string]any{
		"name": settings["node.name"], "host": settings["network.host"], "task": os.Getenv("MESOS_TASK_ID"),
		"instance": settings["node.attr.esfleet_instance"], "bundle": settings["node.attr.esfleet_bundle"],
		"component": settings["node.attr.esfleet_component"], "http": "http://" + web.Addr().String(),
		"word": os.Getenv("WORD"), "mark": mark, "fresh": fresh, "pid": os.Getpid(),
	}); err != nil {
		return err
	}
	var ready atomic.Bool
	go func() { // the board says when the cluster is green; when it has gone, so has the test
		for lines := bufio.NewScanner(board); lines.Scan(); {
			ready.Store(lines.Text() == "ready")
		}
		os.Exit(0)
	}()
	return http.Serve(web, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/_cluster/health" && !ready.Load() {
			w.WriteHeader(http.StatusRequestTimeout)
		}
	}))
}

// read is enough YAML for what the boot script writes.
func read(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			out[key] = strings.Trim(value, `"`)
		}
	}
	return out, nil
}

// markOf is the document of this node: written when its volume is empty, there ever after.
func markOf(data string) (mark string, fresh bool, err error) {
	file := filepath.Join(data, "mark")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		mark = os.Getenv("MESOS_TASK_ID")
		return mark, true, os.WriteFile(file, []byte(mark), 0o644)
	}
	return string(text), false, err
}
