package esclient

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/esfleet/esfleet/reconcile/esgate"
)

type clusterSettings struct {
	Persistent map[string]any `json:"persistent"`
	Transient  map[string]any `json:"transient"`
}

// settings sends no master_timeout to versions that refuse it here; there only our own time bounds the call.
func (c *Client) settings(ctx context.Context, t esgate.Target, endpoint string) (*clusterSettings, error) {
	query := values("flat_settings", "true")
	if since(t, 6, 8) {
		query = c.master("flat_settings", "true")
	}
	s := &clusterSettings{}
	err := c.ask(ctx, question{endpoint: endpoint, path: "/_cluster/settings", query: query}, s)
	if err == nil && (s.Persistent == nil || s.Transient == nil) {
		err = fmt.Errorf("GET %s/_cluster/settings: the answer names no settings", endpoint)
	}
	return s, err
}

// flat turns values into text. Before version 5 a setting cannot be taken back, only be made empty: there empty is unset.
func flat(m map[string]any, t esgate.Target) map[string]string {
	out := make(map[string]string, len(m))
	for k, value := range m {
		s := text(value)
		if s == "" && !since(t, 5, 0) {
			continue
		}
		out[k] = s
	}
	return out
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = text(v[i])
		}
		return strings.Join(parts, ",")
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// templates reads index templates by name; one that is not there is left out.
func (c *Client) templates(ctx context.Context, endpoint string, names []string) (map[string]map[string]any, error) {
	var all map[string]map[string]any
	err := c.ask(ctx, question{endpoint: endpoint, path: "/_template/" + url.PathEscape(strings.Join(names, ",")), max: large,
		query: c.master("flat_settings", "true")}, &all)
	if answeredWith(err, http.StatusNotFound) {
		return map[string]map[string]any{}, nil
	}
	return all, err
}
