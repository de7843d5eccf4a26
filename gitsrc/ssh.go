package gitsrc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"golang.org/x/crypto/ssh"
)

var errKeyRefused = errors.New("the ssh handshake failed")

// sshOpener speaks to git-upload-pack over ssh. go-git's own ssh transport cannot be bounded in time while it shakes
// hands, and reads the user's ssh configuration and agent, which a daemon must not depend on.
func sshOpener(l location, o Options) (func(context.Context, secret) (transport.UploadPackSession, error), error) {
	if o.Credential == "" || o.KnownHosts == "" {
		return nil, fmt.Errorf("repository %s: ssh needs a private key (credential: file:/path or env:NAME) and a known_hosts file", l)
	}
	hosts, err := gitssh.NewKnownHostsDb(o.KnownHosts)
	if err != nil {
		return nil, fmt.Errorf("read known hosts: %w", err)
	}
	port := l.port
	if port == 0 {
		port = gitssh.DefaultPort
	}
	addr := net.JoinHostPort(l.host, strconv.Itoa(port))
	return func(ctx context.Context, s secret) (transport.UploadPackSession, error) {
		signer, err := ssh.ParsePrivateKey([]byte(s.value))
		if err != nil {
			return nil, errors.New("the credential is not a private key without a passphrase, in PEM form")
		}
		return dialSSH(ctx, addr, l.path, &ssh.ClientConfig{
			User: l.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
			HostKeyCallback: hosts.HostKeyCallback(), HostKeyAlgorithms: hosts.HostKeyAlgorithms(addr),
		})
	}, nil
}

func dialSSH(ctx context.Context, addr, path string, cfg *ssh.ClientConfig) (_ *sshSession, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	// Closing the connection ends every read and write on it: that is how ctx reaches into the handshake.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		if err != nil {
			stop()
			_ = conn.Close()
		}
	}()
	c, chans, reqs, err := ssh.NewClientConn(conn, addr, cfg)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errKeyRefused, err)
	}
	client := ssh.NewClient(c, chans, reqs)
	sess, err := client.NewSession()
	if err != nil {
		return nil, err
	}
	s := &sshSession{client: client, stop: stop}
	if s.in, err = sess.StdinPipe(); err != nil {
		return nil, err
	}
	if s.out, err = sess.StdoutPipe(); err != nil {
		return nil, err
	}
	return s, sess.Start("git-upload-pack " + shellQuote(path))
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// An sshSession is one conversation with git-upload-pack.
type sshSession struct {
	client *ssh.Client
	stop   func() bool
	in     io.WriteCloser
	out    io.Reader
}

// AdvertisedReferences implements transport.Session.
func (s *sshSession) AdvertisedReferences() (*packp.AdvRefs, error) {
	return s.AdvertisedReferencesContext(context.Background())
}

// AdvertisedReferencesContext implements transport.Session. The context that counts is the one of the dial.
func (s *sshSession) AdvertisedReferencesContext(context.Context) (*packp.AdvRefs, error) {
	adv := packp.NewAdvRefs()
	err := adv.Decode(io.LimitReader(s.out, refsBytes))
	switch {
	case errors.Is(err, packp.ErrEmptyInput):
		return nil, transport.ErrRepositoryNotFound // git said why on stderr and went away
	case errors.Is(err, packp.ErrEmptyAdvRefs), err == nil && adv.IsEmpty():
		return nil, transport.ErrEmptyRemoteRepository
	case err != nil:
		return nil, err
	}
	transport.FilterUnsupportedCapabilities(adv.Capabilities)
	return adv, nil
}

// UploadPack implements transport.UploadPackSession.
func (s *sshSession) UploadPack(_ context.Context, req *packp.UploadPackRequest) (*packp.UploadPackResponse, error) {
	if err := req.Validate(); err != nil {
		return nil, err
	}
	if err := req.UploadRequest.Encode(s.in); err != nil {
		return nil, fmt.Errorf("ask for a pack: %w", err)
	}
	if err := req.UploadHaves.Encode(s.in, false); err != nil {
		return nil, fmt.Errorf("say what is here already: %w", err)
	}
	if err := pktline.NewEncoder(s.in).EncodeString("done\n"); err != nil {
		return nil, fmt.Errorf("end the request: %w", err)
	}
	if err := s.in.Close(); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("end the request: %w", err)
	}
	res := packp.NewUploadPackResponse(req)
	if err := res.Decode(io.NopCloser(s.out)); err != nil {
		return nil, fmt.Errorf("read the answer's head: %w", err)
	}
	return res, nil
}

// Close ends the conversation.
func (s *sshSession) Close() error {
	s.stop()
	return s.client.Close()
}
