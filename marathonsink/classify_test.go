package marathonsink

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

func TestAnswersOfALeaderHaveTheirKind(t *testing.T) {
	// Bodies as recorded from 1.11.24 and 1.5.15 (marathon-lab-api §4, §11; marathon-lab-old §7).
	cases := []struct {
		name   string
		status int
		body   string
		want   Kind
	}{
		{"locked", 409, `{"message":"App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.","deployments":[{"id":"3d21c179"}]}`, KindLocked},
		{"exists", 409, `{"message":"An app with id [/x] already exists."}`, KindConflict},
		{"unparsable", 400, `{"message":"Invalid JSON","details":"Unexpected end-of-input within/between Object entries"}`, KindInvalid},
		{"shape", 422, `{"message":"Invalid JSON","details":[{"path":"/cpus","errors":["error.min"]}]}`, KindInvalid},
		{"semantics", 422, `{"message":"Object is not valid","details":[{"path":"/app(0)/cpus","errors":["Services with persistent volumes configured may not change resource requirements."]}]}`, KindInvalid},
		{"missing", 404, `{"message":"App '/x' does not exist","details":[]}`, KindNotFound},
		{"missing deployment", 404, `{"message":"DeploymentPlan 1 does not exist"}`, KindNotFound},
		{"method", 405, `{"message":"Method Not Allowed"}`, KindInvalid},
		{"accept", 406, ``, KindInvalid},
		{"content type", 415, ``, KindInvalid},
		{"unauthorized", 401, ``, KindUnauthorized},
		{"forbidden", 403, `{"message":"Not Authorized to perform this action!"}`, KindUnauthorized},
		{"too many", 403, `{"message":"Max number (100) of running deployments is achieved. Wait for existing deployments to complete or cancel one using force=true parameter."}`, KindTooManyDeployments},
		{"constraint in lower case", 500, `{"message":"illegal constraint specification hostname,unique"}`, KindInvalid},
		{"uris and fetch", 500, `{"message":"cannot specify both uris and fetch fields"}`, KindInvalid},
		{"networks twice", 500, `{"message":"cannot mix deprecated and canonical network APIs"}`, KindInvalid},
		{"network without name", 500, `{"message":"container network name is not defined"}`, KindInvalid},
		{"health check", 500, `{"message":"illegal protocol COMMAND for non-command health check"}`, KindInvalid},
		{"task id", 500, `{"message":"Failure(java.lang.IllegalArgumentException: Invalid UUID string: nope) x"}`, KindInvalid},
		{"unknown URI", 500, `{"message":"URI not found"}`, KindInvalid},
		{"anything else", 500, `{"message":"boom"}`, KindUnknown},
		{"old leader", 500, `{"message":"not currently active (Actor[akka://marathon/user/deploymentManager#-1])"}`, KindUnknown},
		{"busy", 503, ``, KindUnknown},
		{"teapot", 418, ``, KindUnknown},
	}
	for _, k := range cases {
		t.Run(k.name, func(t *testing.T) {
			_, err := newClient(t, Options{Transport: always(k.status, k.body)}).Create(background, marathon.Doc{"id": "/x"})
			if e := wantKind(t, err, k.want); e.Status != k.status {
				t.Errorf("status %d", e.Status)
			}
		})
	}
}

func TestAnErrorNamesTheCallAndWhatMarathonObjectsTo(t *testing.T) {
	f := always(422, `{"message":"Object is not valid","details":[{"path":"/cpus","errors":["error.min","b"]},{"path":"/mem","errors":["c"]}]}`)
	_, err := newClient(t, Options{Transport: f}).Replace(background, marathon.Doc{"id": "/a/b"})
	e := wantKind(t, err, KindInvalid)
	want := "replace /a/b: PUT http://m1:8080/v2/apps/a/b: 422: Object is not valid; /cpus: error.min, b; /mem: c"
	if e.Error() != want {
		t.Errorf("%s\nwant\n%s", e, want)
	}
	if d := cmp.Diff([]Detail{{"/cpus", []string{"error.min", "b"}}, {"/mem", []string{"c"}}}, e.Details); d != "" {
		t.Error(d)
	}
	f = always(409, `{"message":"App is locked","deployments":[{"id":"d-1"},{"id":"d-2"}]}`)
	_, err = newClient(t, Options{Transport: f}).Replace(background, marathon.Doc{"id": "/a/b"})
	e = wantKind(t, err, KindLocked)
	if len(e.Deployments) != 2 || !strings.HasSuffix(e.Error(), "409: locked by deployment d-1 d-2") {
		t.Errorf("%s", e)
	}
}

func TestTextsOfMarathonCannotForgeLinesOrGrow(t *testing.T) {
	evil := `a\nlevel=info msg=\"all is well\"\u001b[2J\u202e` + strings.Repeat("z", 100_000)
	f := always(422, `{"message":"`+evil+`","details":[{"path":"`+evil+`","errors":["`+evil+`"]}]}`)
	_, err := newClient(t, Options{Transport: f}).Create(background, marathon.Doc{"id": "/x"})
	text := err.Error()
	if strings.ContainsAny(text, "\n\r\x1b\u202e") {
		t.Errorf("%q", text)
	}
	if len(text) > 4*maxMessage {
		t.Errorf("%d bytes", len(text))
	}
	if got := clean("a\xffb"+strings.Repeat("é", maxMessage), maxMessage); len(got) > maxMessage+3 || !strings.HasPrefix(got, "a b") {
		t.Errorf("%q", got)
	}
}

func TestKindsHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for k := KindUnknown; k <= KindCanceled; k++ {
		if s := k.String(); s == "" || seen[s] {
			t.Errorf("kind %d is named %q", k, s)
		}
		seen[k.String()] = true
	}
	if Kind(99).String() != "kind 99" {
		t.Error(Kind(99).String())
	}
}
