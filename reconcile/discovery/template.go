package discovery

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Place is where the ring listens.
type Place struct {
	Bind   string // an IP address, or * for all
	Port   int
	Stats  int    // port of the statistics page, 0 for none
	Health string // host:port of esfleet's own /healthz, "" for none
}

// Expand makes HAProxy's configuration of a template. The language is data, a few words in double braces
// (bootstrap.RingTemplate lists them), so that a shell script can do the same; it has no loops and calls nothing.
//
// Errors name the template's line. Equal input gives equal bytes.
func Expand(template string, p Place, servers []Server) ([]byte, error) {
	e := expander{words: map[string]string{"bind": p.Bind, "front_port": strconv.Itoa(p.Port)}, servers: servers,
		conditions: map[string]bool{"stats": p.Stats != 0, "health": p.Health != ""}}
	if p.Stats != 0 {
		e.words["stats_port"] = strconv.Itoa(p.Stats)
	}
	if p.Health != "" {
		e.words["health"] = p.Health
	}
	for i, line := range strings.Split(strings.TrimSuffix(template, "\n"), "\n") {
		if err := e.line(strings.TrimSuffix(line, "\r")); err != nil {
			return nil, fmt.Errorf("line %d of the template: %w", i+1, err)
		}
	}
	if len(e.open) > 0 {
		return nil, fmt.Errorf("the template ends inside {{if}}: write {{end}} on a line of its own")
	}
	if !e.usesServers {
		return nil, fmt.Errorf("the template never names {{address}}: the ring would lead nowhere")
	}
	return []byte(e.out.String()), nil
}

type expander struct {
	words       map[string]string
	conditions  map[string]bool
	servers     []Server
	open        []bool // of each {{if}} around the line: does it hold?
	usesServers bool
	out         strings.Builder
}

func (e *expander) line(line string) error {
	word := strings.TrimSpace(line)
	if name, ok := between(word, "{{if ", "}}"); ok {
		holds, known := e.conditions[name]
		if !known {
			return fmt.Errorf("{{if %s}} is unknown; write {{if stats}} or {{if health}}", name)
		}
		e.open = append(e.open, holds)
		return nil
	}
	if word == "{{end}}" {
		if len(e.open) == 0 {
			return fmt.Errorf("{{end}} without {{if}}")
		}
		e.open = e.open[:len(e.open)-1]
		return nil
	}
	if slices.Contains(e.open, false) {
		return nil
	}
	if !strings.Contains(line, "{{name}}") && !strings.Contains(line, "{{address}}") {
		return e.fill(line, e.words)
	}
	e.usesServers = e.usesServers || strings.Contains(line, "{{address}}")
	for _, s := range e.servers {
		words := maps.Clone(e.words)
		words["name"], words["address"] = "m-"+string(s.Instance), s.Address()
		if err := e.fill(line, words); err != nil {
			return err
		}
	}
	return nil
}

// fill replaces the words of one line; what is put in is not looked at again.
func (e *expander) fill(line string, words map[string]string) error {
	for {
		before, rest, found := strings.Cut(line, "{{")
		e.out.WriteString(before)
		if !found {
			e.out.WriteByte('\n')
			return nil
		}
		name, after, closed := strings.Cut(rest, "}}")
		value, known := words[name]
		if !closed || !known {
			return fmt.Errorf("{{%s}} is unknown here; known are %s, and name and address on a server's line", name, strings.Join(slices.Sorted(maps.Keys(e.words)), ", "))
		}
		e.out.WriteString(value)
		line = after
	}
}

func between(s, prefix, suffix string) (string, bool) {
	s, ok := strings.CutPrefix(s, prefix)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(s, suffix)
}
