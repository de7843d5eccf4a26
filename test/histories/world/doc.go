// Package world is the stage on which tests let the daemon live: the real planner, executor and clients on a simulated
// Marathon with modelled Elasticsearch clusters, in virtual time, watched by a Law at every call.
//
// In: files of a fleet repository, a Marathon's version, and what is to go wrong. Out: what happened, and every law that
// was broken. It holds no tests; test/crash and test/histories play on it.
package world
