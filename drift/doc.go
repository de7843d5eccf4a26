// Package drift says how live Marathon differs from what git wants.
//
// In: render.Desired and a marathon.State. Out: a Drift in a fixed order; equal inputs give equal bytes.
// It decides nothing: what to do about a difference, and when, is reconcile/plan's. No network, no log, no clock.
package drift
