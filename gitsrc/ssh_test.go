package gitsrc_test

import (
	"crypto/ed25519"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/esfleet/esfleet/gitsrc"
	"github.com/esfleet/esfleet/gitsrc/gittest"
)

// An sshServer lets one key run git-upload-pack in one directory, as a git host does.
type sshServer struct {
	listener net.Listener
	config   *ssh.ServerConfig
	root     string
}

func serveSSH(t *testing.T, root string, allowed ssh.PublicKey, host ssh.Signer) *sshServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &sshServer{listener: l, root: root, config: &ssh.ServerConfig{
		PublicKeyCallback: func(c ssh.ConnMetadata, k ssh.PublicKey) (*ssh.Permissions, error) {
			if c.User() != "git" || string(k.Marshal()) != string(allowed.Marshal()) {
				return nil, errors.New("unknown key")
			}
			return nil, nil
		},
	}}
	s.config.AddHostKey(host)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c)
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return s
}

func (s *sshServer) serve(c net.Conn) {
	defer c.Close()
	_, chans, reqs, err := ssh.NewServerConn(c, s.config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(reqs)
	for n := range chans {
		ch, requests, err := n.Accept()
		if err != nil {
			return
		}
		go s.session(ch, requests)
	}
}

func (s *sshServer) session(ch ssh.Channel, requests <-chan *ssh.Request) {
	defer ch.Close()
	for r := range requests {
		var exe struct{ Command string }
		if r.Type != "exec" || ssh.Unmarshal(r.Payload, &exe) != nil {
			_ = r.Reply(false, nil)
			continue
		}
		_ = r.Reply(true, nil)
		cmd := exec.Command("sh", "-c", exe.Command) // as sshd would: quoting is part of what is tested
		cmd.Dir, cmd.Stdout, cmd.Stderr = s.root, ch, ch.Stderr()
		in, err := cmd.StdinPipe() // not cmd.Stdin: Run would then wait for the client to end its input
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(in, ch); _ = in.Close() }()
		_ = cmd.Run()
		_, _ = ch.SendRequest("exit-status", false, make([]byte, 4))
		return
	}
}

func newKey(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

func knownHostsFile(t *testing.T, addr string, key ssh.PublicKey) string {
	t.Helper()
	p := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(p, []byte(knownhosts.Line([]string{addr}, key)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestMirrorFollowsABranchOverSSH(t *testing.T) {
	if _, err := exec.LookPath("git-upload-pack"); err != nil {
		t.Skip("git-upload-pack is not installed")
	}
	root := t.TempDir()
	repo, err := gittest.Init(filepath.Join(root, "it's a fleet.git"), "main")
	if err != nil {
		t.Fatal(err)
	}
	first, err := repo.Commit("one", fleet)
	if err != nil {
		t.Fatal(err)
	}
	host, _ := newKey(t)
	user, userPEM := newKey(t)
	stranger, strangerPEM := newKey(t)
	srv := serveSSH(t, root, user.PublicKey(), host)
	addr := srv.listener.Addr().String()
	t.Setenv("GOOD_KEY", userPEM)
	t.Setenv("BAD_KEY", strangerPEM)
	t.Setenv("NO_KEY", "S3cr3t")
	o := gitsrc.Options{URL: "ssh://git@" + addr + root + "/it's%20a%20fleet.git", Credential: "env:GOOD_KEY", KnownHosts: knownHostsFile(t, addr, host.PublicKey())}
	b := &bench{t: t, repo: repo, opts: o}

	m := b.open()
	good(t, m, first, true)
	good(t, m, b.commit(map[string]string{"x": "y"}), true)
	rewritten, err := repo.ForcePush("rewrite", fleet)
	if err != nil {
		t.Fatal(err)
	}
	if ref := refused(t, m, gitsrc.ForcePushed, commitOf(m.Current())); ref.Commit != rewritten {
		t.Errorf("refused %s", ref.Commit)
	}

	for name, change := range map[string]func(*gitsrc.Options) string{
		"another key":   func(o *gitsrc.Options) string { o.Credential = "env:BAD_KEY"; return "env:BAD_KEY has not expired" },
		"no key at all": func(o *gitsrc.Options) string { o.Credential = "env:NO_KEY"; return "not a private key" },
		"another host's key": func(o *gitsrc.Options) string {
			o.KnownHosts = knownHostsFile(t, addr, stranger.PublicKey())
			return "key mismatch"
		},
		"another repository":  func(o *gitsrc.Options) string { o.URL = "ssh://git@" + addr + "/none.git"; return "no such repository" },
		"a branch not there":  func(o *gitsrc.Options) string { o.Branch = "none"; return "does not exist" },
		"a host that is mute": func(o *gitsrc.Options) string { o.URL, o.Timeout = mute(t), 50*time.Millisecond; return "within 50ms" },
	} {
		t.Run(name, func(t *testing.T) {
			b := &bench{t: t, repo: repo, opts: o}
			want := change(&b.opts)
			r := b.open().Refresh(t.Context())
			if r.Refusal == nil || !strings.Contains(r.Refusal.Error(), want) || r.Snapshot != nil {
				t.Errorf("want %q in: %v", want, r.Refusal)
			}
			if r.Refusal != nil && strings.Contains(r.Refusal.Error(), "S3cr3t") {
				t.Error("the secret is shown")
			}
		})
	}
}

// mute is the address of a server that accepts and says nothing.
func mute(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return "ssh://git@127.0.0.1:" + strconv.Itoa(l.Addr().(*net.TCPAddr).Port) + "/x"
}

func TestSSHNeedsAKeyAndKnownHosts(t *testing.T) {
	_, err := gitsrc.Open(t.Context(), gitsrc.Options{URL: "git@host:fleet.git", MirrorDir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "known_hosts") {
		t.Error(err)
	}
}
