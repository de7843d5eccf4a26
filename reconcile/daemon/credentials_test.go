package daemon

import (
	"strings"
	"testing"

	"github.com/esfleet/esfleet/spec"
)

func TestAFleetRepositoryMayNameOnlyMarathonsCredentials(t *testing.T) {
	t.Setenv("ESFLEET_MARATHON_MAIN", "ops:secret")
	t.Setenv("GITLAB_TOKEN", "another secret")
	t.Setenv("ESFLEET_MARATHONS", "another secret")
	for _, c := range []struct {
		ref  string
		want string // what the error says; empty: it is allowed
	}{
		{"", ""},
		{"env:ESFLEET_MARATHON_MAIN", ""},
		{"env:ESFLEET_MARATHON_ABSENT", "is empty"},
		{"env:GITLAB_TOKEN", "may only name"},
		{"env:ESFLEET_MARATHONS", "may only name"},
		{"env:esfleet_marathon_main", "may only name"},
		{"file:/etc/esfleet/credentials/main", "no such file"}, // allowed, and not there
		{"file:/etc/esfleet/credentials/a/../main", "no such file"},
		{"file:/etc/esfleet/credentials", "may only name"},
		{"file:/etc/esfleet/credentials/../git-token", "may only name"},
		{"file:/etc/esfleet/credentials/../../../proc/self/environ", "may only name"},
		{"file:/etc/esfleet/credentials-of-another/x", "may only name"},
		{"file:/etc/shadow", "may only name"},
		{"file:etc/esfleet/credentials/main", "may only name"},
		{"file://etc/esfleet/credentials/main", "no such file"},
		{"ENV:ESFLEET_MARATHON_MAIN", "may only name"},
		{"ops:secret", "may only name"},
		{"secret", "may only name"},
		{"exec:ESFLEET_MARATHON_", "may only name"},
	} {
		t.Run(c.ref, func(t *testing.T) {
			s := &Session{}
			_, err := s.credentials(spec.Marathon{Name: "main", Credentials: c.ref, Pos: spec.Pos{File: "fleet.yaml", Line: 7, Column: 5}})
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want %q", err, c.want)
			case err != nil && !strings.Contains(err.Error(), "main"):
				t.Errorf("which Marathon? %v", err)
			case err != nil && strings.Contains(err.Error(), "another secret"):
				t.Errorf("the secret is told: %v", err)
			}
		})
	}
}
