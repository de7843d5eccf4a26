package e2e_test

import (
	"net/http"
	"testing"
)

// The long story of one cluster: every kind of change, one after the other, each by a commit, while clients write.
func TestAClusterChangesOnTheSimulatorWithoutLosingADocument(t *testing.T) {
	t.Parallel()
	w := newWorkspace(t)
	s := newStory(t, w, "esfleet sim --processes: a cluster that changes")
	s.startSim()
	s.tellOfChanges()
}

// abdicate asks Marathon's leader to let another one lead.
func (s *story) abdicate() {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodDelete, s.marathon.url+"/v2/leader", nil)
	must(s.t, err)
	res, err := client.Do(req)
	must(s.t, err)
	must(s.t, res.Body.Close())
}

// tellOfChanges is the long story.
func (s *story) tellOfChanges() {
	s.t.Helper()
	s.homes = s.w.homes("7.10.2", "7.17.28", "8.19.21")
	s.publish(s.prepareForChanges, "groups/billing/", "groups/search/clusters/catalog/")
	s.startDaemon()
	s.settle(nil)
	s.stage("three masters and three data nodes of 7.10.2 are one cluster")
	l := s.begin("search/logs", logsFile, "_doc", concurrent)
	l.aNodeComesAndGoes()
	l.aChangeThatCannotBe()
	l.aCanaryIsRolledBack()
	down := l.aBadPreRunStopsTheRoll()
	l.killDaemon(3)
	l.aChangedSettingRollsTheCluster(down, l.aNodeIsKilled)
	l.killDaemon(0)
	l.upgrade("7.17.28", l.aFrozenNodeIsWaitedFor)
	l.upgrade("8.19.21", l.aLeaderChange)
	l.finish()
	l.aNodeThatFitsNowhere()
}

// On a real Marathon the long story is told with ESFLEET_E2E=all; a part of it belongs to the story of the example fleet.
func TestAClusterChangesOnARealMarathonWithoutLosingADocument(t *testing.T) {
	if !all() {
		t.Skip("skipped: takes ten minutes on each Marathon; ESFLEET_E2E=all tells it")
	}
	for _, version := range []string{"1.11", "1.8"} {
		t.Run(version, func(t *testing.T) {
			s := newStory(t, newWorkspace(t), "Marathon "+version+": a cluster that changes")
			s.startLab(version)
			s.tellOfChanges()
		})
	}
}

// aRollSurvivesTheLeader changes a setting of the example's cluster while clients write and Marathon's leader is killed.
func (s *story) aRollSurvivesTheLeader() {
	s.t.Helper()
	l := s.begin("search/logs", logsFile, "_doc", nil)
	l.aChangedSettingRollsTheCluster("", l.aLeaderChange)
	l.finish()
}
