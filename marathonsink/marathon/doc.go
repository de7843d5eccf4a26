// Package marathon is Marathon's words: ids, versions, apps, tasks, deployments, as they go over the wire.
//
// In: JSON that a Marathon sent. Out: typed values that keep the raw document, because every decision about a
// difference is made on raw JSON, never on a lossy struct. No network, no clock.
package marathon
