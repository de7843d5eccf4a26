package marathonsink

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	gomarathon "github.com/gambol99/go-marathon"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// refusal turns an answer outside 2xx into an Error. Only an answer of a leader is a statement: without its header
// some proxy spoke, and the leader may have done the work.
func refusal(a *answer) *Error {
	e := &Error{Op: a.op, Method: a.method, URL: a.url, Status: a.status, Kind: KindUnknown}
	e.Message, e.Details, e.Deployments = explain(a.body)
	if e.Message == "" {
		e.Message = http.StatusText(a.status)
	}
	switch {
	case a.status == http.StatusUnauthorized: // sent before Marathon looks for its leader
		e.Kind = KindUnauthorized
	case a.status >= 300 && a.status < 400:
		e.Message = "answered with a redirect, which is not followed: give the address it leads to"
	case a.leader == "" && a.status >= 500 && a.method == http.MethodGet:
		e.Kind = KindNoLeader
	case a.leader == "":
		e.Message += " (not an answer of a leading Marathon)"
	default:
		e.Kind = kindOfAnswer(a, e)
	}
	return e
}

func kindOfAnswer(a *answer, e *Error) Kind {
	api, _ := errors.AsType[*gomarathon.APIError](gomarathon.NewAPIError(a.status, a.body))
	if api == nil {
		return KindUnknown
	}
	switch api.ErrCode {
	case gomarathon.ErrCodeBadRequest, gomarathon.ErrCodeInvalidBean, gomarathon.ErrCodeMethodNotAllowed:
		return KindInvalid
	case gomarathon.ErrCodeUnauthorized:
		return KindUnauthorized
	case gomarathon.ErrCodeForbidden:
		if strings.Contains(e.Message, "running deployments") {
			return KindTooManyDeployments
		}
		return KindUnauthorized
	case gomarathon.ErrCodeNotFound:
		return KindNotFound
	case gomarathon.ErrCodeDuplicateID:
		return KindConflict
	case gomarathon.ErrCodeAppLocked:
		return KindLocked
	case gomarathon.ErrCodeServer:
		return kindOfServerError(a, e.Message)
	}
	if a.status == http.StatusNotAcceptable || a.status == http.StatusUnsupportedMediaType {
		return KindInvalid
	}
	return KindUnknown
}

// clientFaults are texts that Marathon sends with 500 although the request was at fault and nothing was done
// (marathon-lab-api §1, §4; 1.5 and later).
var clientFaults = []string{
	"illegal constraint specification",
	"illegal protocol",
	"cannot specify both uris and fetch",
	"cannot mix deprecated and canonical network",
	"container network name is not defined",
	"Invalid UUID string",
	"URI not found",
}

func kindOfServerError(a *answer, message string) Kind {
	for _, fault := range clientFaults {
		if strings.Contains(message, fault) {
			return KindInvalid
		}
	}
	// A leader that is giving up its office still signs its answers.
	if a.method == http.MethodGet && strings.Contains(message, "not currently active") {
		return KindNoLeader
	}
	return KindUnknown
}

// explain takes the texts out of an error body. details is a list of objects, or a string for JSON that cannot be read.
func explain(body []byte) (message string, details []Detail, locks []marathon.DeploymentID) {
	var raw struct {
		Message     string          `json:"message"`
		Details     json.RawMessage `json:"details"`
		Deployments []struct {
			ID marathon.DeploymentID `json:"id"`
		} `json:"deployments"`
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return clean(string(body), maxMessage), nil, nil
	}
	message = clean(raw.Message, maxMessage)
	for _, d := range raw.Deployments {
		locks = append(locks, d.ID)
	}
	var text string
	if json.Unmarshal(raw.Details, &text) == nil && text != "" {
		return message + ": " + clean(text, maxMessage), nil, locks
	}
	var list []struct {
		Path   string   `json:"path"`
		Errors []string `json:"errors"`
	}
	if json.Unmarshal(raw.Details, &list) != nil {
		return message, nil, locks
	}
	for _, d := range list[:min(len(list), maxDetails)] {
		detail := Detail{Path: clean(d.Path, maxMessage)}
		for _, text := range d.Errors[:min(len(d.Errors), maxDetails)] {
			detail.Errors = append(detail.Errors, clean(text, maxMessage))
		}
		details = append(details, detail)
	}
	return message, details, locks
}
