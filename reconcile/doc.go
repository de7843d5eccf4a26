// Package reconcile looks at git and Marathon, plans, and takes one step per cluster at a time.
//
// In: a Fleet, connections to its Marathons, a Journal. Out: Views of what differs and why, and effects: each written to
// the Journal first, sent once, and followed by a fresh look. Nothing it remembers is needed to go on: kill it between
// any two calls and the next one finds the same way from live state. Deciding is plan's; this package only carries out.
package reconcile
