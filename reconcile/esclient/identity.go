package esclient

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/esfleet/esfleet/reconcile/esgate"
)

// An identity is who a node says its cluster is, and who leads it now.
type identity struct {
	Name     string `json:"cluster_name"`
	TopUUID  string `json:"cluster_uuid"`
	Version  int64  `json:"version"`
	MasterID string `json:"master_node"`
	Metadata struct {
		UUID string `json:"cluster_uuid"`
	} `json:"metadata"`
}

// uuid is in the metadata in all versions, and at the top in newer ones.
func (i *identity) uuid() string {
	if i.Metadata.UUID != "" {
		return i.Metadata.UUID
	}
	return i.TopUUID
}

func (i *identity) String() string {
	return fmt.Sprintf("%q (%s) under master %s at state %d", i.Name, i.uuid(), i.MasterID, i.Version)
}

func (i *identity) same(o *identity) bool {
	return i.Name == o.Name && i.uuid() == o.uuid() && i.MasterID == o.MasterID
}

// A proof is that nodes are of one cluster, which is the declared one as far as that is declared.
type proof struct {
	identity
	endpoints []string // the one or two that said so
}

// prove asks nodes until two agree: one alone may sit in another cluster or on a minority side. Where only one is named, it
// may answer alone.
func (c *Client) prove(ctx context.Context, t esgate.Target) (proof, error) {
	if len(t.Endpoints) == 0 {
		return proof{}, errors.New("no node runs that could be asked")
	}
	var p proof
	var errs []string
	for rest := t.Endpoints; len(rest) > 0 && len(p.endpoints) < 2; {
		// As many at once as are still needed, so that one that hangs costs its time only once.
		n := min(2-len(p.endpoints), len(rest))
		ids, failed := make([]identity, n), make([]error, n)
		parallel(n, func(i int) { ids[i], failed[i] = c.identity(ctx, t, rest[i]) })
		for i := range n {
			switch {
			case failed[i] != nil:
				errs = append(errs, failed[i].Error())
			case len(p.endpoints) == 0:
				p = proof{ids[i], []string{rest[i]}}
			case !p.same(&ids[i]):
				return proof{}, fmt.Errorf("two nodes name different clusters or masters: %s says %s, %s says %s",
					p.endpoints[0], &p.identity, rest[i], &ids[i])
			default:
				p.endpoints = append(p.endpoints, rest[i])
			}
		}
		rest = rest[n:]
	}
	return p, p.must(t, errs)
}

func (p *proof) must(t esgate.Target, errs []string) error {
	const most = 3
	if n := len(errs); n > most {
		errs = append(errs[:most:most], fmt.Sprintf("and %d more", n-most))
	}
	why := strings.Join(errs, "; ")
	switch {
	case len(p.endpoints) == 0:
		return fmt.Errorf("none of %d nodes answers: %s", len(t.Endpoints), why)
	case len(p.endpoints) == 1 && len(t.Endpoints) > 1:
		return fmt.Errorf("only one of %d nodes answers: %s", len(t.Endpoints), why)
	case t.Name != "" && p.Name != t.Name:
		return fmt.Errorf("another cluster answers at %s: it is named %q, git declares %q", p.endpoints[0], p.Name, t.Name)
	case t.UUID != "" && p.uuid() != t.UUID:
		return fmt.Errorf("another cluster answers at %s: its uuid is %s, recorded is %s", p.endpoints[0], p.uuid(), t.UUID)
	}
	return nil
}

// identity reads it from the cluster state, which only a node with a master answers: GET / would also be answered by a
// node that has not joined anything, and is missing in some distributions (elasticsearch-lab §0).
func (c *Client) identity(ctx context.Context, t esgate.Target, endpoint string) (identity, error) {
	// Older versions tell the uuid in the metadata alone, which costs their master the work of writing all of it.
	path := "/_cluster/state/version,master_node"
	if !since(t, 6, 8) {
		path += ",metadata"
	}
	var id identity
	err := c.ask(ctx, question{endpoint: endpoint, path: path,
		query: c.master("filter_path", "cluster_name,cluster_uuid,version,master_node,metadata.cluster_uuid")}, &id)
	switch {
	case err != nil:
	case id.MasterID == "":
		err = fmt.Errorf("%s: the node names no master", endpoint)
	case id.Name == "" || id.uuid() == "" || id.uuid() == "_na_":
		err = fmt.Errorf("%s: no cluster has formed yet", endpoint)
	}
	return id, err
}
