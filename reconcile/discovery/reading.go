package discovery

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// Address is host:port, an IPv6 address in brackets.
func (s Server) Address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

// ReadingOf takes the servers out of their app. leader is who answered, "" if unknown; port is the place of the front's
// protocol in a task's ports.
//
// Whatever comes from a task is checked to the letter: it becomes a line of a configuration, and a host with a line
// break in it would become two.
func ReadingOf(app *marathon.App, leader string, port int, at time.Time) Reading {
	r := Reading{At: at, Leader: leader, Half: app.Tasks == nil}
	shown := 0
	for _, t := range app.Tasks {
		if t.Running() {
			shown++
		}
		r.add(t, port)
	}
	r.Half = r.Half || shown < app.TasksRunning
	slices.SortFunc(r.Running, byInstance)
	return r
}

func (r *Reading) add(t marathon.Task, port int) {
	id := t.ID.Instance()
	if !instanceID.MatchString(string(id)) {
		r.Refused = append(r.Refused, fmt.Sprintf("task %.80q: its id is not made of letters, digits, dots, dashes and underscores", t.ID))
		return
	}
	switch {
	case t.Unreachable():
		r.Unsure = append(r.Unsure, id)
		return
	case !t.Running():
		return
	}
	s, err := serverOf(t, id, port)
	if err != nil {
		r.Unsure = append(r.Unsure, id)
		r.Refused = append(r.Refused, fmt.Sprintf("task %s: %v", id, err))
		return
	}
	if slices.ContainsFunc(r.Running, func(o Server) bool { return o.Instance == id }) {
		r.Refused = append(r.Refused, fmt.Sprintf("task %s: its instance runs twice", id))
		return
	}
	r.Running = append(r.Running, s)
}

func serverOf(t marathon.Task, id marathon.InstanceID, port int) (Server, error) {
	if err := checkHost(t.Host); err != nil {
		return Server{}, err
	}
	if port >= len(t.Ports) {
		return Server{}, fmt.Errorf("it has %d ports, and none in place %d, where its protocol is", len(t.Ports), port)
	}
	if p := t.Ports[port]; p < 1 || p > 65535 {
		return Server{}, fmt.Errorf("port %d is not between 1 and 65535", p)
	}
	return Server{Instance: id, Host: t.Host, Port: t.Ports[port]}, nil
}

var (
	instanceID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,200}$`)
	// hostName allows underscores, which machines have in their names though DNS has none. A last label of digits
	// would be read as an IP address by some resolvers.
	hostName = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.?$`)
)

// checkHost takes an IP address of one machine, or a DNS name.
func checkHost(host string) error {
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" || ip.IsUnspecified() || ip.IsMulticast() {
			return fmt.Errorf("host %.80q is not the address of a machine", host)
		}
		return nil
	}
	if len(host) > 253 || !hostName.MatchString(host) {
		return fmt.Errorf("host %.80q is neither an IP address nor a DNS name", host)
	}
	return nil
}
