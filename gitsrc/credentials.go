package gitsrc

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// A secret is a credential's content. Its String hides it, so that no format verb can print it by accident.
type secret struct{ value string }

// String hides the content.
func (secret) String() string { return "***" }

// GoString hides the content.
func (secret) GoString() string { return "***" }

// readSecret reads "env:NAME" or "file:/path". Errors name the place, never the content. No reference is no secret.
func readSecret(reference string) (secret, error) {
	if reference == "" {
		return secret{}, nil
	}
	kind, where, _ := strings.Cut(reference, ":")
	switch kind {
	case "env":
		v, ok := os.LookupEnv(where)
		if !ok || strings.TrimSpace(v) == "" {
			return secret{}, fmt.Errorf("credential: environment variable %s is not set or empty", where)
		}
		return secret{v}, nil
	case "file":
		b, err := os.ReadFile(where)
		if err != nil {
			return secret{}, fmt.Errorf("credential: %w", err)
		}
		if strings.TrimSpace(string(b)) == "" {
			return secret{}, fmt.Errorf("credential: file %s is empty", where)
		}
		return secret{string(b)}, nil
	}
	// What stands here may be the secret itself, so it is not repeated.
	return secret{}, fmt.Errorf("credential: write env:NAME or file:/path, not the secret itself")
}

// basic splits "user:token" or a lone token; GitLab takes any user name for a token, "oauth2" is its own choice.
func (s secret) basic() (user, password string) {
	v := strings.TrimSpace(s.value)
	if u, p, found := strings.Cut(v, ":"); found {
		return u, p
	}
	return "oauth2", v
}

// redact removes every form of the secret from a text that came from elsewhere: servers echo headers, libraries URLs.
func (s secret) redact(text string) string {
	text = userInfo.ReplaceAllString(text, "${1}***@")
	if s.value == "" {
		return text
	}
	user, password := s.basic()
	for _, form := range []string{
		base64.StdEncoding.EncodeToString([]byte(user + ":" + password)),
		s.value, strings.TrimSpace(s.value), url.QueryEscape(password), url.PathEscape(password), password,
	} {
		if form != "" {
			text = strings.ReplaceAll(text, form, "***")
		}
	}
	return text
}
