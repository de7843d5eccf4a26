// Package discovery keeps a cluster's fronts current: HAProxy, on one TCP address, leads to the masters that run now, and,
// where a cluster wants that, on another one clients to the nodes that serve them.
//
// In: Marathon's events, the apps of the masters and of the nodes that serve clients, the gate's label of who is out, a
// template of HAProxy's configuration. Out: a running HAProxy, and log lines that say what changed and why. It writes
// nothing to Marathon.
//
// The ring is needed only to find the cluster; a master that is missing in it costs a probe, an empty one keeps every
// new node out. So a server is added on a word and removed only on proof (Decide), the last good configuration stays
// whatever Marathon or a template says, and a reload never refuses or ends a connection.
//
// A node that is to stop is out of the clients' front before: it becomes a backup, so what it is answering goes on, new
// requests go elsewhere, also those of connections that stay open, and no label can leave clients without anybody. HAProxy
// needs HTTP for that, not TCP: a client keeps its connections, and its next request would still find the node.
//
// Flow: follower (events, looks) → ReadingOf → Decide → Expand → proxy (check, write, reload). The first three arrows
// are pure.
package discovery
