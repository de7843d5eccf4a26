package gitsrc

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// A location is a checked address of a repository. It never holds a secret, so it may be printed.
type location struct {
	scheme string // http, https or ssh
	user   string // ssh only
	host   string
	port   int // 0: the scheme's own
	path   string
}

var scpForm = regexp.MustCompile(`^(?:([A-Za-z0-9_.][A-Za-z0-9_.-]*)@)?([A-Za-z0-9_.][A-Za-z0-9_.-]*):([^:].*)$`)

// parseLocation accepts http(s), ssh and scp-like addresses and nothing else: file:// and ext:: run programs on this
// machine, git:// is neither encrypted nor authenticated, and a leading dash would be an option to somebody.
func parseLocation(s string) (location, error) {
	bad := func(format string, args ...any) (location, error) {
		return location{}, fmt.Errorf("repository address %s: %s", printable(s), fmt.Sprintf(format, args...))
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' }) {
		return bad("it holds a blank, a backslash or a control character")
	}
	if strings.HasPrefix(s, "-") {
		return bad("it begins with a dash")
	}
	if !strings.Contains(s, "://") {
		m := scpForm.FindStringSubmatch(s)
		if m == nil || strings.HasPrefix(m[3], "-") {
			return bad("write https://host/path, ssh://git@host/path or git@host:path (for a directory use the option for directories)")
		}
		return location{scheme: "ssh", user: orGit(m[1]), host: m[2], path: m[3]}, nil
	}
	u, err := url.Parse(s)
	if err != nil {
		return bad("it is not a URL") // url.Error would repeat the address, secrets included
	}
	l := location{scheme: strings.ToLower(u.Scheme), host: u.Hostname(), path: u.Path}
	switch l.scheme {
	case "http", "https":
		if u.User != nil {
			return bad("credentials do not belong in an address, where logs and process lists show them; use the credential option (env:NAME or file:/path)")
		}
	case "ssh":
		if _, has := u.User.Password(); has {
			return bad("a password does not belong in an address; use the credential option (env:NAME or file:/path) with a private key")
		}
		l.user = orGit(u.User.Username())
	default:
		return bad("scheme %q is not allowed; use https or ssh", u.Scheme)
	}
	if u.RawQuery != "" || u.Fragment != "" {
		return bad("it has a query or a fragment")
	}
	if l.host == "" || strings.HasPrefix(l.host, "-") || strings.HasPrefix(l.user, "-") || strings.HasPrefix(strings.TrimPrefix(l.path, "/"), "-") {
		return bad("host, user and path must not be empty or begin with a dash")
	}
	if strings.Trim(l.path, "/") == "" {
		return bad("the path of the repository is missing")
	}
	if p := u.Port(); p != "" {
		if l.port, err = strconv.Atoi(p); err != nil || l.port < 1 || l.port > 65535 {
			return bad("port %q is not a number from 1 to 65535", p)
		}
	}
	return l, nil
}

func orGit(user string) string {
	if user == "" {
		return "git"
	}
	return user
}

// String is the address for people and logs.
func (l location) String() string {
	u := url.URL{Scheme: l.scheme, Host: l.host, Path: "/" + strings.TrimPrefix(l.path, "/")}
	if l.port != 0 {
		u.Host += ":" + strconv.Itoa(l.port)
	}
	if l.user != "" {
		u.User = url.User(l.user)
	}
	return u.String()
}

var userInfo = regexp.MustCompile(`(://)[^/@\s]*@`)

// printable is an address as it was given, quoted, without what may be a secret.
func printable(s string) string {
	return strconv.Quote(userInfo.ReplaceAllString(s, "${1}***@"))
}

// branchRef checks a branch's name and gives its full reference.
func branchRef(name string) (plumbing.ReferenceName, error) {
	ref := plumbing.NewBranchReferenceName(name)
	err := ref.Validate()
	switch {
	case strings.HasPrefix(name, "-"):
		err = errors.New("it begins with a dash")
	case strings.HasPrefix(name, "refs/"):
		err = errors.New("write the branch's short name, without refs/heads/")
	case strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == 0x7f || strings.ContainsRune(`~^:?*[\`, r) }):
		err = errors.New("it holds a character that git forbids")
	}
	if err != nil {
		return "", fmt.Errorf("branch name %q: %w", name, err)
	}
	return ref, nil
}

var fullCommit = regexp.MustCompile(`^[0-9a-f]{40}$`)
