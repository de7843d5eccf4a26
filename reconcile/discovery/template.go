package discovery

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A Place is where the fronts listen.
type Place struct {
	Bind    string // an IP address, or * for all
	Port    int
	Stats   int    // port of the statistics page, 0 for none
	Health  string // host:port of esfleet's own /healthz, "" for none
	Clients int    // port of the front for clients, 0 for none
	// IdleClose: HAProxy knows option idle-close-on-response.
	IdleClose bool
}

// Fronts are the servers behind each front.
type Fronts struct {
	Masters []Server // of the ring
	Clients []Server // that serve clients
	// Detached are those of Clients that are to get new requests only if nobody else can.
	Detached map[marathon.InstanceID]bool
}

// Expand makes HAProxy's configuration of a template. The language is data, a few words in double braces
// (bootstrap.RingTemplate and bootstrap.ClientTemplate list them), so that a shell script can do the same; it has no loops
// and calls nothing.
//
// Errors name the template's line. Equal input gives equal bytes.
func Expand(template string, p Place, f Fronts) ([]byte, error) {
	e := expander{words: map[string]string{"bind": p.Bind, "front_port": strconv.Itoa(p.Port)},
		conditions: map[string]bool{"stats": p.Stats != 0, "health": p.Health != "", "clients": p.Clients != 0, "idle_close": p.IdleClose},
		masters:    repeated{"name", "address", "", rows(f.Masters, "m-", nil), false},
		clients:    repeated{"client_name", "client_address", "client_state", rows(f.Clients, "c-", f.Detached), false}}
	for word, port := range map[string]int{"stats_port": p.Stats, "client_port": p.Clients} {
		if port != 0 {
			e.words[word] = strconv.Itoa(port)
		}
	}
	if p.Health != "" {
		e.words["health"] = p.Health
	}
	for i, line := range strings.Split(strings.TrimSuffix(template, "\n"), "\n") {
		if err := e.line(strings.TrimSuffix(line, "\r")); err != nil {
			return nil, fmt.Errorf("line %d of the template: %w", i+1, err)
		}
	}
	switch {
	case len(e.open) > 0:
		return nil, fmt.Errorf("the template ends inside {{if}}: write {{end}} on a line of its own")
	case !e.masters.used:
		return nil, fmt.Errorf("the template never names {{address}}: the ring would lead nowhere")
	case p.Clients != 0 && !e.clients.used:
		return nil, fmt.Errorf("the template never names {{client_address}}: clients would be led nowhere")
	}
	return []byte(e.out.String()), nil
}

// A row is what the words of a server's line stand for.
type row struct{ name, address, state string }

// rows gives servers their names. One that is detached is a backup: connections that it has go on, new ones go elsewhere
// as long as any other answers, and a front never leads nowhere because of a label.
func rows(servers []Server, prefix string, detached map[marathon.InstanceID]bool) []row {
	var out []row
	for _, s := range servers {
		r := row{name: prefix + string(s.Instance), address: s.Address()}
		if detached[s.Instance] {
			r.state = "backup"
		}
		out = append(out, r)
	}
	return out
}

// repeated is a kind of line that is there once for each server.
type repeated struct {
	name, address, state string // its words
	rows                 []row
	used                 bool
}

// in says that the line is of this kind.
func (k *repeated) in(line string) bool {
	return strings.Contains(line, "{{"+k.name+"}}") || strings.Contains(line, "{{"+k.address+"}}")
}

type expander struct {
	words            map[string]string
	conditions       map[string]bool
	masters, clients repeated
	open             []bool // of each {{if}} around the line: does it hold?
	out              strings.Builder
}

func (e *expander) line(line string) error {
	word := strings.TrimSpace(line)
	if name, ok := between(word, "{{if ", "}}"); ok {
		holds, known := e.conditions[name]
		if !known {
			return fmt.Errorf("{{if %s}} is unknown; write {{if stats}}, {{if health}}, {{if clients}} or {{if idle_close}}", name)
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
	for _, k := range []*repeated{&e.masters, &e.clients} {
		if k.in(line) {
			return e.repeat(line, k)
		}
	}
	return e.fill(line, e.words)
}

func (e *expander) repeat(line string, k *repeated) error {
	k.used = k.used || strings.Contains(line, "{{"+k.address+"}}")
	for _, r := range k.rows {
		words := maps.Clone(e.words)
		words[k.name], words[k.address] = r.name, r.address
		if k.state != "" {
			words[k.state] = r.state
		}
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
