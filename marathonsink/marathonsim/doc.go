// Package marathonsim is a Marathon in one http.Handler: apps, groups, deployments that take time, locks, offers,
// constraints, reservations and volumes, health and readiness checks, the event stream, and the defects of each
// version that a careful client has to live with.
//
// In: the HTTP calls Marathon takes, and control calls that break things (KillTask, LoseAgent, LeaderChange …).
// Out: the answers, events and delays that Marathon gives. Tasks are simulated, or real local processes (Processes).
//
// Time is package time's alone and nothing polls, so a Sim runs inside a testing/synctest bubble: an hour of rolling
// passes at once. With equal Options and equal calls in equal order two Sims answer alike; ids come from Options.Seed.
//
// Where a behaviour lives: api_*.go the calls and their refusals; canonical.go and normalise.go what GET returns that
// was not sent; shape.go and validate.go the 422s; change.go a write; plan.go what it restarts; deploy.go, scale.go
// and restart.go how a deployment proceeds; offers.go and constraints.go where a task may run; tasks.go and
// scalecheck.go the life of an instance; checks.go health and readiness; versions.go every difference between
// Marathons.
//
// Not simulated: what a pod does (there are its id, its group and its deployment, for those who live beside it), secrets,
// images, and a deployment that claims success because an inner call took longer than three seconds.
package marathonsim
