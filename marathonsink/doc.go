// Package marathonsink speaks to one Marathon, 1.4.2 to 1.11.
//
// In: the URLs of its members and credentials. Out: consistent readings (State), single writes, and hints that
// something changed (Events). Every error has a Kind that says whether a write can have been applied.
//
// What it never does: send a write twice, to two members or after a redirect; use force on anything but the
// cancellation of a deployment the caller names; return half a State; send credentials to a host that was not
// configured. Paths, verbs and the mapping of error codes come from go-marathon, which here sees only one request at
// a time and never the network: its retries, events and waits would resend writes (see bridge).
package marathonsink
