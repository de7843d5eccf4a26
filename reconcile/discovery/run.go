package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/render/bootstrap"
)

// Options say what one ring is.
type Options struct {
	Marathon marathonsink.Options // URLs and credentials; reading suffices
	App      marathon.AppID       // the masters' app
	// PortIndex is the place of the transport port in a task's ports; 1, the second, is how esfleet renders masters.
	PortIndex int

	// ClientApps are the apps of the nodes that serve clients, led to by Place.Clients; none without that front.
	ClientApps []marathon.AppID
	// ClientPortIndex is the place of the HTTP port in a task's ports; 0, the first, is how esfleet renders nodes.
	ClientPortIndex int
	Gate            marathon.AppID // whose label marathon.LabelDetached says who is out of the front for clients

	Place    Place  // Health and IdleClose are filled in by Run
	Template string // file that replaces the built-in template, read again at each look; "" for none
	Dir      string // HAProxy's folder, made if absent
	HAProxy  string // program; "" means haproxy in PATH

	Proof  time.Duration // how far apart two answers must be that prove a master gone; 10 s if zero
	Resync time.Duration // how often Marathon is read when no event comes; 30 s if zero
	Drain  time.Duration // what open connections get at the end; 2 s if zero

	Log    *slog.Logger // never nil
	Output *os.File     // of HAProxy itself; nil means os.Stderr
}

const (
	defaultProof  = 10 * time.Second
	defaultResync = 30 * time.Second
)

// Run keeps a ring current until ctx ends, which is no error. It fails at once where the options are wrong or HAProxy is
// missing, and later only when HAProxy cannot be kept running.
func Run(ctx context.Context, o Options) error {
	p, err := o.proxy()
	if err != nil {
		return err
	}
	client, err := o.client()
	if err != nil {
		return err
	}
	defer client.Close()
	health, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for /healthz: %w", err)
	}
	o.Place.Health = health.Addr().String()
	o.Place.IdleClose = o.Place.Clients != 0 && p.knows(ctx, "option idle-close-on-response")
	f := o.follower(client, p)
	f.apply(ctx) // a front port that leads nowhere yet, rather than none
	if p.good == nil {
		_ = health.Close() // the ring's fault is what matters
		return fmt.Errorf("HAProxy takes neither the template nor the built-in one: %s", f.fault)
	}
	return o.serve(ctx, p, f, health)
}

// serve runs HAProxy, the follower and /healthz, and ends all of them when ctx or HAProxy does.
func (o Options) serve(ctx context.Context, p *proxy, f *follower, health net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &http.Server{Handler: f.status, ReadHeaderTimeout: 10 * time.Second}
	served, followed := make(chan struct{}), make(chan struct{})
	go func() { defer close(served); _ = server.Serve(health) }() // ends by Close
	go func() { defer close(followed); f.run(ctx) }()
	err := p.supervise(ctx)
	cancel()
	<-followed
	_ = server.Close()
	<-served
	o.Log.Info("the ring ends", "error", err)
	return err
}

func (o Options) proxy() (*proxy, error) {
	bin := o.HAProxy
	if bin == "" {
		bin = "haproxy"
	}
	bin, err := exec.LookPath(bin)
	if err == nil {
		bin, err = filepath.Abs(bin)
	}
	if err != nil {
		return nil, fmt.Errorf("find HAProxy: %w; install it into the image, or say where it is", err)
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make HAProxy's folder: %w", err)
	}
	p := &proxy{bin: bin, dir: o.Dir, output: o.Output, log: o.Log, patience: usualPatience}
	if p.output == nil {
		p.output = os.Stderr
	}
	if o.Drain > 0 {
		p.patience.drain = o.Drain
	}
	return p, nil
}

// client notes the leader of each answer.
func (o Options) client() (*marathonsink.Client, error) {
	m := o.Marathon
	if m.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.ResponseHeaderTimeout = 30 * time.Second
		t.MaxResponseHeaderBytes = 64 << 10
		m.Transport = t
	}
	m.Transport = noteLeader{m.Transport}
	return marathonsink.New(m)
}

func (o Options) follower(m marathons, p *proxy) *follower {
	builtIn := bootstrap.RingTemplate
	var clients *group
	if o.Place.Clients != 0 {
		builtIn += bootstrap.ClientTemplate
		clients = &group{what: "clients' nodes", apps: o.ClientApps, port: o.ClientPortIndex, mayLack: true}
	}
	f := &follower{
		marathon: m, masters: &group{what: "masters", apps: []marathon.AppID{o.App}, port: o.PortIndex}, clients: clients, gate: o.Gate,
		proof: o.Proof, resync: o.Resync, place: o.Place, template: fileOr(o.Template, builtIn), good: builtIn,
		ring: p, log: o.Log, status: &status{isRunning: func() bool { return p.running() != nil }},
	}
	if f.proof <= 0 {
		f.proof = defaultProof
	}
	if f.resync <= 0 {
		f.resync = defaultResync
	}
	return f
}

// Check says what is wrong with options before anything is started.
func (o Options) Check() error {
	switch {
	case len(o.App) < 2 || o.App[0] != '/':
		return errors.New("the masters' app is missing: name it with its full id, like /search/logs/es-master")
	case o.Place.Port < 1 || o.Place.Port > 65535:
		return fmt.Errorf("front port %d is not between 1 and 65535", o.Place.Port)
	case o.Place.Stats < 0 || o.Place.Stats > 65535:
		return fmt.Errorf("statistics port %d is not between 0 and 65535", o.Place.Stats)
	case o.PortIndex < 0 || o.ClientPortIndex < 0:
		return fmt.Errorf("port index %d is negative", min(o.PortIndex, o.ClientPortIndex))
	case o.Place.Clients < 0 || o.Place.Clients > 65535:
		return fmt.Errorf("client port %d is not between 0 and 65535", o.Place.Clients)
	case o.Place.Clients != 0 && (len(o.ClientApps) == 0 || len(o.Gate) < 2 || o.Gate[0] != '/'):
		return errors.New("a client port needs the apps of the nodes that serve clients, and the gate that says which of them are out of it")
	case o.Place.Bind != "*" && checkHost(o.Place.Bind) != nil:
		return fmt.Errorf("bind address %q: write * or an address of this machine", o.Place.Bind)
	}
	return nil
}
