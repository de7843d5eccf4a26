package daemon

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/esfleet/esfleet/reconcile/mesosclient"
	"github.com/esfleet/esfleet/reconcile/preflight"
	"github.com/esfleet/esfleet/spec"
)

// A mesos finds the Mesos under a Marathon, in the configuration or where Marathon says, and asks it.
type mesos struct {
	session *Session

	mu sync.Mutex
	// silent are the Marathons whose Mesos gave no answer, until when nobody waits for it again.
	silent map[spec.MarathonName]silence
}

type silence struct {
	pool  preflight.Pool
	until time.Time
}

// patience is how long a Mesos that gave no answer is left alone: every look would wait for it.
const patience = time.Minute

// Pool is what the agents under the Marathon have left.
func (m *mesos) Pool(ctx context.Context, d spec.Marathon) preflight.Pool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.silent[d.Name]; ok && time.Now().Before(s.until) {
		return s.pool
	}
	p := m.read(ctx, d)
	if m.silent == nil {
		m.silent = map[spec.MarathonName]silence{}
	}
	if delete(m.silent, d.Name); !p.Known {
		m.silent[d.Name] = silence{p, time.Now().Add(patience)}
	}
	return p
}

func (m *mesos) read(ctx context.Context, d spec.Marathon) preflight.Pool {
	unknown := func(why string) preflight.Pool { return preflight.Pool{Why: why, At: time.Now()} }
	c, err := m.session.client(d)
	if err != nil {
		return unknown(err.Error())
	}
	info, err := c.Info(ctx)
	if err != nil {
		return unknown(fmt.Sprintf("Marathon %q does not say where its Mesos is: %v", d.Name, err))
	}
	o := mesosclient.Options{Addresses: m.session.Config.mesos(), Transport: m.session.parts.MarathonTransport, Timeout: 5 * time.Second}
	if o.Transport == nil {
		base := http.DefaultTransport.(*http.Transport).Clone()
		base.DisableKeepAlives = true // it is asked seldom
		o.Transport = base
	}
	if len(o.Addresses) == 0 {
		if o.Addresses = mesosclient.Addresses(info.Raw); len(o.Addresses) == 0 {
			return unknown(fmt.Sprintf("Marathon %q does not say where its Mesos is: name it with mesos: in the config file", d.Name))
		}
	} else if ref := m.session.Config.MesosCredential; ref != "" {
		if o.User, o.Password, err = readPassword(ref); err != nil {
			return unknown(err.Error())
		}
	}
	client, err := mesosclient.New(o)
	if err != nil {
		return unknown(err.Error())
	}
	return client.Pool(ctx, info.Role)
}

// readPassword reads "user:password" from where ref says.
func readPassword(ref string) (user, password string, err error) {
	value, err := readSecret(ref)
	if err != nil {
		return "", "", fmt.Errorf("read Mesos' credentials: %w", err)
	}
	user, password, ok := strings.Cut(value, ":")
	if !ok {
		return "", "", fmt.Errorf("read Mesos' credentials: %s does not hold user:password", ref)
	}
	return user, password, nil
}
