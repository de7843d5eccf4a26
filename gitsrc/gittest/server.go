package gittest

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// ErrNoGit says that this machine has no git server program; a test then skips, and says so.
var ErrNoGit = errors.New("git http-backend is not installed")

// A Server is git's own HTTP server over the repositories below one directory.
type Server struct {
	// Address is http://host:port.
	Address string
	http    *http.Server
}

// ServerOptions are what a test may ask for.
type ServerOptions struct {
	// User and Password are asked for if set (basic authentication).
	User, Password string
	// Wrap, if set, stands before git: to cut, delay or count answers.
	Wrap func(http.Handler) http.Handler
}

// Serve starts a Server on a loopback port.
func Serve(root string, o ServerOptions) (*Server, error) {
	backend, err := backendPath()
	if err != nil {
		return nil, err
	}
	root, err = filepath.Abs(root)
	if err != nil {
		return nil, err
	}
	var h http.Handler = &cgi.Handler{
		Path: backend, Dir: root, Stderr: io.Discard, Logger: log.New(io.Discard, "", 0),
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + root},
	}
	h = authenticate(h, o)
	if o.Wrap != nil {
		h = o.Wrap(h)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w", root, err)
	}
	s := &Server{Address: "http://" + l.Addr().String(), http: &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
	}}
	go func() { _ = s.http.Serve(l) }()
	return s, nil
}

func backendPath() (string, error) {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoGit, err)
	}
	p, err := exec.LookPath(filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"))
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoGit, err)
	}
	return p, nil
}

func authenticate(next http.Handler, o ServerOptions) http.Handler {
	if o.Password == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != o.User || subtle.ConstantTimeCompare([]byte(password), []byte(o.Password)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			// A server that repeats what it was sent must not make a client print its secret.
			http.Error(w, "access denied for "+r.Header.Get("Authorization")+" "+user+":"+password, http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// URL is the address of a repository by its directory's name below the root.
func (s *Server) URL(name string) string { return s.Address + "/" + name }

// Close stops the server at once, connections included.
func (s *Server) Close() error { return s.http.Close() }
