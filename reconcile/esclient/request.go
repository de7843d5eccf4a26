package esclient

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/esfleet/esfleet/reconcile/esgate"
)

// A request is the one call that a change is.
type request struct {
	op           string // for a person
	method, path string
	query        url.Values
	body         any
	timeout      time.Duration
	mute         bool // its answer does not say "acknowledged"
	fine         int  // a status beside 200 that is none of our worries
}

// request makes the call for ch in the version of t. Its op is there also if it fails.
func (c *Client) request(t esgate.Target, ch esgate.Change) (request, error) {
	r := request{op: "change cluster " + t.Name, timeout: c.writeTime(),
		query: c.master("timeout", millis(c.writeTime()/2))}
	var made []func() error
	if ch.Persistent != nil || ch.Transient != nil {
		made = append(made, func() error { return r.settings(t, ch) })
	}
	if ch.Template != nil {
		made = append(made, func() error { return r.template(t, ch.Template) })
	}
	if ch.DelayedTimeout != "" {
		made = append(made, func() error { return r.delayed(t, ch.DelayedTimeout) })
	}
	if ch.ExcludeVotes != nil {
		made = append(made, func() error { return r.exclude(t, ch.ExcludeVotes, millis(c.writeTime()/2)) })
	}
	if ch.ClearVotes {
		made = append(made, func() error { return r.clear(t) })
	}
	if ch.Flush {
		made = append(made, func() error { return r.flush(t) })
	}
	if len(made) != 1 {
		return r, fmt.Errorf("a change must be one thing, this is %d", len(made))
	}
	return r, made[0]()
}

func (r *request) settings(t esgate.Target, ch esgate.Change) error {
	r.op = "set cluster settings of " + t.Name
	r.method, r.path = http.MethodPut, "/_cluster/settings"
	body := map[string]map[string]any{}
	for where, set := range map[string]map[string]*string{"persistent": ch.Persistent, "transient": ch.Transient} {
		for _, key := range slices.Sorted(maps.Keys(set)) {
			if body[where] == nil {
				body[where] = map[string]any{}
			}
			value, err := settingValue(t, key, set[key])
			if err != nil {
				return err
			}
			body[where][key] = value
		}
	}
	if len(body) == 0 {
		return errors.New("no setting is named")
	}
	r.body = body
	return nil
}

// settingValue is null to take a setting back. Elasticsearch 2 does not know that: there a setting gets the value that it has
// when it is not set, as far as that is one.
func settingValue(t esgate.Target, key string, value *string) (any, error) {
	switch {
	case value != nil:
		return *value, nil
	case since(t, 5, 0):
		return nil, nil
	case key == "cluster.routing.allocation.enable" || key == "cluster.routing.rebalance.enable":
		return "all", nil
	case strings.HasPrefix(key, "cluster.routing.allocation.exclude."):
		return "", nil
	}
	return nil, fmt.Errorf("version %s cannot take back %s: set it to its default", t.Version, key)
}

func (r *request) template(t esgate.Target, tmpl *esgate.Template) error {
	r.op = fmt.Sprintf("put template %s into %s", tmpl.Name, t.Name)
	path := strings.TrimPrefix(tmpl.Path, "/")
	if !strings.HasPrefix(path, "_template/") && !strings.HasPrefix(path, "_index_template/") {
		return fmt.Errorf("%q is not the path of a template", tmpl.Path)
	}
	r.method, r.path, r.body = http.MethodPut, "/"+path, tmpl.Body
	r.query.Del("timeout") // not in all versions
	return nil
}

// delayed sets it for closed and hidden indices too: they may be opened. None at all is no error.
func (r *request) delayed(t esgate.Target, d string) error {
	r.op = fmt.Sprintf("let copies of %s wait %s for their node", t.Name, d)
	r.method, r.path, r.body = http.MethodPut, "/_all/_settings", map[string]string{settingDelayed: d}
	for k, v := range map[string]string{"expand_wildcards": "all", "ignore_unavailable": "true", "allow_no_indices": "true"} {
		r.query.Set(k, v)
	}
	return nil
}

var errNoVotes = errors.New("there are no voting exclusions before Elasticsearch 7: set the quorum")

const votes = "/_cluster/voting_config_exclusions"

// exclude names the nodes in the path before 7.8; later they are a parameter, and may be absent. The calls for votes refuse
// parameters that they do not know, master_timeout among them.
func (r *request) exclude(t esgate.Target, names []string, timeout string) error {
	r.op = fmt.Sprintf("take the votes of %s in %s", strings.Join(names, ", "), t.Name)
	if !since(t, 7, 0) {
		return errNoVotes
	}
	if len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return n == "" || strings.ContainsAny(n, ",*") }) {
		return fmt.Errorf("%q are not names of masters", names)
	}
	r.method, r.path, r.mute, r.query = http.MethodPost, votes, true, values("timeout", timeout)
	if list := strings.Join(names, ","); since(t, 7, 8) {
		r.query.Set("node_names", list)
	} else {
		r.path += "/" + url.PathEscape(list)
	}
	return nil
}

func (r *request) clear(t esgate.Target) error {
	r.op = "give all masters of " + t.Name + " their votes back"
	if !since(t, 7, 0) {
		return errNoVotes
	}
	r.method, r.path, r.mute, r.query = http.MethodDelete, votes, true, values("wait_for_removal", "false")
	return nil
}

// flush is marked where copies can then be compared by it; from 7.6 on a plain one does that. 409 says that some copies
// could not be marked, for they were written to: the others are.
func (r *request) flush(t esgate.Target) error {
	r.op = "flush " + t.Name
	r.method, r.path, r.mute, r.fine, r.query = http.MethodPost, "/_flush", true, http.StatusConflict, nil
	if !since(t, 7, 6) {
		r.path = "/_flush/synced"
	}
	return nil
}
