package e2e_test

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
)

// Before version 7 the number of masters that an election needs is set by hand. A shorter story for those: a changed
// setting, the elected master killed, one more data node and one less.
func TestAnOldClusterChangesWithoutLosingADocument(t *testing.T) {
	for _, version := range []string{"2.4.6", "6.8.23"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := newStory(t, newWorkspace(t), "esfleet sim --processes: Elasticsearch "+version)
			s.startSim()
			s.homes = s.w.homes(version)
			s.publish(func() { s.prepareOldOne(version) }, "groups/search/")
			s.startDaemon()
			s.settle(nil)
			s.stage("three masters and two data nodes are one cluster")
			// Two of three masters is what git's number of masters means.
			l := s.begin("billing/invoices", invoicesFile, "doc", map[string]string{"discovery.zen.minimum_master_nodes": "2"})
			l.anOldOneRolls()
			l.aMasterIsKilled()
			l.aNodeComesAndGoes()
			l.finish()
		})
	}
}

func (s *story) prepareOldOne(version string) {
	s.t.Helper()
	s.files.merge(s.t, billingFile, fmt.Sprintf(`defaults: {elasticsearch: {version: %q, home: %q}}`, version, s.homes[version]))
	s.files.merge(s.t, invoicesFile, `
indices: {delay: 1m}
rollout: {canary: 0, soak: 0s, hold: 3s, snapshotWithin: null}
`)
	if version[0] < '5' {
		delete(s.files, filepath.Join(filepath.Dir(invoicesFile), "files", "jvm.options"))
		small := "{env: {ES_GC_OPTS: '-XX:+UseSerialGC'}}"
		s.files.merge(s.t, invoicesFile, fmt.Sprintf("{master: %s, data: %s}", small, small))
	}
}

func (l *life) anOldOneRolls() {
	l.t.Helper()
	from, elected := len(l.history()), l.master()
	l.change("faster recovery, everywhere", "{data: {settings: {indices.recovery.max_bytes_per_sec: 41mb}}, master: {settings: {indices.recovery.max_bytes_per_sec: 41mb}}}")
	l.settle(nil)
	l.rolled(from, "", elected)
	l.settings("", "indices.recovery.max_bytes_per_sec", "41mb")
	l.stage("a changed setting has rolled the cluster")
}

// aMasterIsKilled ends the elected one with -9; Marathon starts it again, and the others have elected another meanwhile.
func (l *life) aMasterIsKilled() {
	l.t.Helper()
	was := l.master()
	l.signal(was, syscall.SIGKILL)
	l.stage("the elected master %s was killed with -9", was)
}
