// Package discovery keeps a cluster's ring current: HAProxy, on one TCP address, leads to the masters that run now.
//
// In: Marathon's events and the masters' app, a template of HAProxy's configuration. Out: a running HAProxy, and log
// lines that say what changed and why. It writes nothing to Marathon.
//
// The ring is needed only to find the cluster; a master that is missing in it costs a probe, an empty one keeps every
// new node out. So a server is added on a word and removed only on proof (Decide), the last good configuration stays
// whatever Marathon or a template says, and a reload never refuses or ends a connection.
//
// Flow: follower (events, looks) → ReadingOf → Decide → Expand → proxy (check, write, reload). The first three arrows
// are pure.
package discovery
