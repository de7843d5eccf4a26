// Package daemon puts the real parts together: git, Marathon, Elasticsearch, the operation log, and the loop over them.
//
// In: a Config, and for tests and the demo other Parts in place of real ones. Out: a Session for the one-shot commands,
// and Run, the daemon. It is the only package where all the others meet; it decides nothing about clusters.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/esfleet/esfleet/gitsrc"
	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/reconcile"
	"github.com/esfleet/esfleet/reconcile/esclient"
	"github.com/esfleet/esfleet/spec"
)

// Parts replace real ones; the zero value replaces none.
type Parts struct {
	// MarathonTransport and ElasticsearchTransport carry the calls: the simulator's in-process transport, in the demo.
	MarathonTransport, ElasticsearchTransport http.RoundTripper
	// daemon: this is the daemon, whose mirror and log are its own; commands have others, so that both can run at once.
	daemon bool
	// LocalRepo is a git repository on this machine to follow in place of Config.Fleet.
	LocalRepo string
	Log       *slog.Logger
	// Listener hears of every step's end.
	Listener func(reconcile.Done)
	// Seen hears of every look of the daemon.
	Seen func(*reconcile.View, gitsrc.Result, []spec.Problem)
	// LogFailed hears of every entry that the operation log could not take.
	LogFailed func()
	// Requested hears of every call to Marathon.
	Requested func(op, kind string, took time.Duration)
	// Pace replaces the loop's.
	Pace *reconcile.Pace
	// Bind replaces net.Listen for the status pages.
	Bind func(address string) (net.Listener, error)
}

func (p Parts) bind(address string) (net.Listener, error) {
	if p.Bind != nil {
		return p.Bind(address)
	}
	return net.Listen("tcp", address)
}

// A Session is one run's parts. Close it.
type Session struct {
	Config     Config
	Source     gitsrc.Source
	Reconciler *reconcile.Reconciler

	parts   Parts
	log     *slog.Logger
	journal *lazyJournal
	cache   *spec.Cache

	mu      sync.Mutex
	clients map[string]*marathonsink.Client
}

// Open makes a Session. Nothing is fetched and no log is opened yet: the log opens with the first effect.
func Open(ctx context.Context, c Config, p Parts) (*Session, error) {
	if p.LocalRepo != "" {
		c.Fleet = p.LocalRepo
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	s := &Session{Config: c, parts: p, log: p.Log, cache: &spec.Cache{}, clients: map[string]*marathonsink.Client{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	o := gitsrc.Options{Branch: c.Branch, Credential: c.GitCredential, KnownHosts: c.KnownHosts, CABundle: c.CABundle,
		AllowRewriteTo: c.AllowRewriteTo}
	switch {
	case p.LocalRepo != "":
		o.LocalRepo, o.MirrorDir = p.LocalRepo, filepath.Join(c.State, "mirror")
	case c.IsDir():
		o.Dir = c.Fleet
	default:
		o.URL, o.MirrorDir = c.Fleet, filepath.Join(c.State, "mirror")
	}
	src, err := openSource(ctx, o, p.daemon)
	if err != nil {
		return nil, err
	}
	s.Source = src
	s.journal = &lazyJournal{path: filepath.Join(c.State, logName(p.daemon)), log: s.log, failed: p.LogFailed}
	es, err := s.elasticsearch()
	if err != nil {
		return nil, errors.Join(err, src.Close())
	}
	s.Reconciler = reconcile.New(reconcile.Options{Connect: s.connect, Elasticsearch: es, Mesos: &mesos{session: s}, Journal: s.journal, Log: s.log,
		Listener: p.Listener, Parallel: c.Parallel, Actor: actor()})
	return s, nil
}

// openSource opens the source with a mirror that stays. A command whose mirror another command uses takes a temporary one.
func openSource(ctx context.Context, o gitsrc.Options, daemon bool) (gitsrc.Source, error) {
	if o.MirrorDir != "" && !daemon {
		o.MirrorDir += "-of-commands"
	}
	src, err := gitsrc.Open(ctx, o)
	if errors.Is(err, gitsrc.ErrBusy) && !daemon {
		o.MirrorDir = ""
		return gitsrc.Open(ctx, o)
	}
	return src, err
}

// Close releases everything the Session holds.
func (s *Session) Close() error { return errors.Join(s.Source.Close(), s.journal.close()) }

// actor names this process in the operation log.
func actor() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	return fmt.Sprintf("%s@%s[%d]", os.Getenv("USER"), host, os.Getpid())
}

func (s *Session) elasticsearch() (reconcile.Elasticsearch, error) {
	t := s.parts.ElasticsearchTransport
	if t == nil {
		base := http.DefaultTransport.(*http.Transport).Clone()
		base.Proxy = nil // an environment's proxy is not for the nodes of the pool
		base.MaxConnsPerHost = 4
		if s.Config.ElasticsearchProxy != "" {
			u, err := url.Parse(s.Config.ElasticsearchProxy)
			if err != nil {
				return nil, fmt.Errorf("elasticsearchProxy: %w", err)
			}
			base.Proxy = http.ProxyURL(u)
		}
		t = base
	}
	return esclient.New(t, 5*time.Second), nil
}

// ErrProblems says that the fleet repository has faults; they are beside it.
var ErrProblems = errors.New("the fleet repository has problems")

// Load reads the newest commit. Problems come with ErrProblems. A refused origin is an error even if an older Snapshot is
// at hand: what a person asks for now must not be answered from yesterday.
func (s *Session) Load(ctx context.Context) (reconcile.Input, []spec.Problem, error) {
	res := s.Source.Refresh(ctx)
	if res.Refusal != nil {
		return reconcile.Input{}, nil, res.Refusal
	}
	fleet, problems := spec.Parse(res.Snapshot, s.cache)
	if fleet == nil {
		return reconcile.Input{}, problems, ErrProblems
	}
	return reconcile.Input{Fleet: s.redirect(fleet), Blobs: res.Snapshot}, problems, nil
}

// redirect points every Marathon of the fleet at Config.Marathon, if that is set.
func (s *Session) redirect(f *spec.Fleet) *spec.Fleet {
	if s.Config.Marathon == "" {
		return f
	}
	out := *f
	out.Marathons = make([]spec.Marathon, len(f.Marathons))
	for i, m := range f.Marathons {
		m.URLs, m.NodeURLs, m.Credentials = []string{s.Config.Marathon}, nil, ""
		out.Marathons[i] = m
	}
	return &out
}

// connect makes (once) the client for a declared Marathon.
func (s *Session) connect(d spec.Marathon) (reconcile.Marathon, error) {
	c, err := s.client(d)
	if err != nil || s.parts.Requested == nil {
		return c, err
	}
	return observed{Marathon: c, told: s.parts.Requested}, nil
}

func (s *Session) client(d spec.Marathon) (*marathonsink.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.Join(d.URLs, " ") + "|" + d.Credentials
	if c := s.clients[key]; c != nil {
		return c, nil
	}
	cred, err := s.credentials(d)
	if err != nil {
		return nil, err
	}
	c, err := marathonsink.New(marathonsink.Options{URLs: d.URLs, Credentials: cred, Transport: s.parts.MarathonTransport, Spool: s.Config.State, Logger: s.log})
	if err != nil {
		return nil, err
	}
	s.clients[key] = c
	return c, nil
}

// The only places a fleet repository may name for Marathon's credentials. Whoever can merge there also names the address
// the secret is sent to, so it must not be able to name any other secret of this process.
const (
	credentialEnvPrefix = "ESFLEET_MARATHON_"
	credentialDir       = "/etc/esfleet/credentials/"
)

func (s *Session) credentials(d spec.Marathon) (marathonsink.Credentials, error) {
	ref := d.Credentials
	if s.Config.MarathonCredential != "" {
		return readCredentials(s.Config.MarathonCredential)
	}
	if ref == "" {
		return marathonsink.Credentials{}, nil
	}
	kind, where, _ := strings.Cut(ref, ":")
	switch {
	case kind == "env" && strings.HasPrefix(where, credentialEnvPrefix):
	case kind == "file" && strings.HasPrefix(filepath.Clean(where), credentialDir):
	default:
		return marathonsink.Credentials{}, fmt.Errorf("marathon %q (%s): credentials %q: a fleet repository may only name env:%s… or file:%s…",
			d.Name, d.Pos, ref, credentialEnvPrefix, credentialDir)
	}
	c, err := readCredentials(ref)
	if err != nil {
		return c, fmt.Errorf("marathon %q (%s): %w", d.Name, d.Pos, err)
	}
	return c, nil
}

// readCredentials reads "user:password" or a bearer token from where ref says.
func readCredentials(ref string) (marathonsink.Credentials, error) {
	value, err := readSecret(ref)
	if err != nil {
		return marathonsink.Credentials{}, fmt.Errorf("read Marathon's credentials: %w", err)
	}
	if user, password, ok := strings.Cut(value, ":"); ok {
		return marathonsink.BasicAuth(user, password), nil
	}
	return marathonsink.BearerToken(value), nil
}

func readSecret(ref string) (string, error) {
	kind, where, _ := strings.Cut(ref, ":")
	var value string
	if kind == "env" {
		value = os.Getenv(where)
	} else {
		b, err := os.ReadFile(where)
		if err != nil {
			return "", err
		}
		value = string(b)
	}
	if value = strings.TrimSpace(value); value == "" {
		return "", fmt.Errorf("%s is empty", ref)
	}
	return value, nil
}
