package discovery

import (
	"fmt"
	"os"
	"strings"

	"github.com/esfleet/esfleet/marathonsink"
)

// Credentials reads "user:password" or a bearer token from where ref says: env:NAME or file:/path. "" is none. Errors
// never hold the secret.
func Credentials(ref string) (marathonsink.Credentials, error) {
	if ref == "" {
		return marathonsink.Credentials{}, nil
	}
	var value string
	switch kind, where, _ := strings.Cut(ref, ":"); kind {
	case "env":
		value = os.Getenv(where)
	case "file":
		b, err := os.ReadFile(where)
		if err != nil {
			return marathonsink.Credentials{}, fmt.Errorf("read Marathon's credentials: %w", err)
		}
		value = string(b)
	default:
		return marathonsink.Credentials{}, fmt.Errorf("read Marathon's credentials: they do not belong on a command line; write env:NAME or file:/path")
	}
	value = strings.TrimSpace(value)
	if value == "" {
		return marathonsink.Credentials{}, fmt.Errorf("read Marathon's credentials: %s is empty", ref)
	}
	if user, password, ok := strings.Cut(value, ":"); ok {
		return marathonsink.BasicAuth(user, password), nil
	}
	return marathonsink.BearerToken(value), nil
}
