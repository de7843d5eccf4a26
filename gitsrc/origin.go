package gitsrc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/plumbing/transport/server"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

// An origin opens sessions with the repository that a Mirror follows.
//
// We speak the fetch ourselves, over go-git's transports, instead of using its Remote: so each Mirror has its own HTTP
// client (go-git's are global), the pack is bounded and checked as a whole before any of it enters the mirror, and no
// lock is held while the network is slow.
type origin struct {
	name string
	// open starts a session; s has been read for it.
	open       func(ctx context.Context, s secret) (transport.UploadPackSession, error)
	credential string
}

func newOrigin(o Options) (*origin, error) {
	if o.LocalRepo != "" {
		return localOrigin(o.LocalRepo), nil
	}
	l, err := parseLocation(o.URL)
	if err != nil {
		return nil, err
	}
	or := &origin{name: l.String(), credential: o.Credential}
	if l.scheme == "ssh" {
		or.open, err = sshOpener(l, o)
	} else {
		or.open, err = httpOpener(l, o)
	}
	return or, err
}

func httpOpener(l location, o Options) (func(context.Context, secret) (transport.UploadPackSession, error), error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	t.MaxConnsPerHost, t.IdleConnTimeout = 2, 30*time.Second
	if o.CABundle != "" {
		pool, err := caPool(o.CABundle)
		if err != nil {
			return nil, err
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	// Time is bounded by each call's context, and so is the dial.
	client := githttp.NewClient(&http.Client{Transport: boundedBodies{t, o.Limits.PackBytes + refsBytes}})
	return func(_ context.Context, s secret) (transport.UploadPackSession, error) {
		var auth transport.AuthMethod
		if s.value != "" {
			user, password := s.basic()
			auth = &githttp.BasicAuth{Username: user, Password: password}
		}
		return client.NewUploadPackSession(&transport.Endpoint{Protocol: l.scheme, Host: l.host, Port: l.port, Path: l.path}, auth)
	}, nil
}

// refsBytes bounds a list of references: about half a million of them.
const refsBytes = 64 << 20

func caPool(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificate authorities: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read certificate authorities: %s holds no PEM certificate", path)
	}
	return pool, nil
}

type boundedBodies struct {
	next  http.RoundTripper
	limit int64
}

func (b boundedBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	limit := b.limit
	if res.StatusCode != http.StatusOK {
		limit = 4 << 10 // an error page is quoted, not stored
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, limit), res.Body}
		return res, nil
	}
	res.Body = &boundedBody{ReadCloser: res.Body, left: limit}
	return res, nil
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}

// localOrigin serves a repository of this machine by go-git's own server code: no process, no socket.
func localOrigin(path string) *origin {
	load := loader(func() (storer.Storer, error) {
		dir := path
		if _, err := os.Stat(filepath.Join(path, ".git")); err == nil {
			dir = filepath.Join(path, ".git")
		}
		if _, err := os.Stat(filepath.Join(dir, "objects")); err != nil {
			return nil, transport.ErrRepositoryNotFound
		}
		return filesystem.NewStorage(osfs.New(dir, osfs.WithBoundOS()), cache.NewObjectLRU(8*cache.MiByte)), nil
	})
	client := server.NewClient(load)
	return &origin{name: path, open: func(context.Context, secret) (transport.UploadPackSession, error) {
		s, err := client.NewUploadPackSession(&transport.Endpoint{Protocol: "local", Path: "/"}, nil)
		if err != nil {
			return nil, err
		}
		return &localSession{UploadPackSession: s, load: load}, nil
	}}
}

type loader func() (storer.Storer, error)

// Load implements server.Loader.
func (l loader) Load(*transport.Endpoint) (storer.Storer, error) { return l() }

// A localSession drops the haves that the repository does not know: git's own server ignores them, go-git's fails.
type localSession struct {
	transport.UploadPackSession
	load loader
}

func (s *localSession) UploadPack(ctx context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	st, err := s.load()
	if err != nil {
		return nil, err
	}
	var known []plumbing.Hash
	for _, h := range req.Haves {
		if st.HasEncodedObject(h) == nil {
			known = append(known, h)
		}
	}
	req.Haves = known
	return s.UploadPackSession.UploadPack(ctx, req)
}

var (
	errBranchGone = errors.New("the branch does not exist")
	errTooLarge   = errors.New("the answer is larger than the limit")
	errHalf       = errors.New("the answer ended early or is damaged")
)

// A fetched is one look at the origin.
type fetched struct {
	head plumbing.Hash
	// pack is the file with the missing objects; nil if there are none. The receiver removes it.
	pack *os.File
}

// fetch asks for the head of ref and, if have says it is missing, downloads the objects that are not reachable from
// haves into a temporary file in dir. Nothing of it is trusted yet.
func (or *origin) fetch(ctx context.Context, s secret, ref plumbing.ReferenceName, dir string, lim Limits, have func(plumbing.Hash) bool, haves []plumbing.Hash) (_ fetched, err error) {
	sess, err := or.open(ctx, s)
	if err != nil {
		return fetched{}, err
	}
	defer sess.Close()
	adv, err := sess.AdvertisedReferencesContext(ctx)
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return fetched{}, errBranchGone
	}
	if err != nil {
		return fetched{}, err
	}
	head, ok := adv.References[ref.String()]
	if !ok {
		return fetched{}, errBranchGone
	}
	if have(head) {
		return fetched{head: head}, nil
	}
	req := packp.NewUploadPackRequestFromCapabilities(adv.Capabilities)
	if adv.Capabilities.Supports(capability.NoProgress) {
		if err := req.Capabilities.Set(capability.NoProgress); err != nil {
			return fetched{}, err
		}
	}
	req.Wants, req.Haves = []plumbing.Hash{head}, haves
	res, err := sess.UploadPack(ctx, req)
	if err != nil {
		return fetched{}, err
	}
	defer res.Close()
	f, err := download(demux(req.Capabilities, res), dir, lim.PackBytes)
	return fetched{head: head, pack: f}, err
}

// demux separates the pack from the server's chatter, which nobody reads.
func demux(c *capability.List, r io.Reader) io.Reader {
	switch {
	case c.Supports(capability.Sideband64k):
		return sideband.NewDemuxer(sideband.Sideband64k, r)
	case c.Supports(capability.Sideband):
		return sideband.NewDemuxer(sideband.Sideband, r)
	}
	return r
}

func download(r io.Reader, dir string, limit int64) (_ *os.File, err error) {
	f, err := os.CreateTemp(dir, incoming)
	if err != nil {
		return nil, fmt.Errorf("keep the fetched objects: %w", err)
	}
	defer func() {
		if err != nil {
			discard(f)
		}
	}()
	n, err := io.Copy(f, io.LimitReader(r, limit+1))
	if n > limit || errors.Is(err, errTooLarge) {
		return nil, fmt.Errorf("%w of %d bytes", errTooLarge, limit)
	}
	if err != nil {
		if strings.Contains(err.Error(), "no space left") {
			return nil, fmt.Errorf("keep the fetched objects: %w", err)
		}
		return nil, fmt.Errorf("%w: %w", errHalf, err)
	}
	_, err = f.Seek(0, io.SeekStart)
	return f, err
}

// incoming is the name of a pack that is not yet part of the mirror.
const incoming = "incoming-*.pack"

func discard(f *os.File) {
	_ = f.Close()
	_ = os.Remove(f.Name())
}
