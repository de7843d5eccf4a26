package histories_test

import "fmt"

// The kinds of commits.
const (
	commitSetting   kind = "commit: a setting"
	commitEnv       kind = "commit: the environment"
	commitData      kind = "commit: data nodes"
	commitMasters   kind = "commit: masters"
	commitUpgrade   kind = "commit: an upgrade"
	commitRestart   kind = "commit: a restart"
	commitKibana    kind = "commit: Kibana"
	commitPause     kind = "commit: a paused canary"
	commitReplace   kind = "commit: a replacement"
	commitResize    kind = "commit: a new generation"
	commitRebalance kind = "commit: a setting of the cluster"
	commitSuspend   kind = "commit: a suspension"
	commitReport    kind = "commit: only report"
	commitCrash     kind = "commit: a pre-run script that fails"
	commitRevert    kind = "git: reverted while rolling"
	commitPush      kind = "git: history rewritten"
	commitBroken    kind = "git: a commit that does not parse"
	commitVanish    kind = "git: the cluster's folder is gone"
	commitBurst     kind = "git: many commits at once"
)

var commits = []kind{commitSetting, commitSetting, commitEnv, commitData, commitData, commitMasters, commitUpgrade, commitRestart, commitKibana, commitPause,
	commitReplace, commitResize, commitRebalance, commitSuspend, commitReport, commitCrash, commitRevert, commitPush, commitBroken, commitVanish, commitBurst}

// commit changes what git says.
func (l *life) commit(e event) {
	x := l.wish
	x.absent, x.broken, x.suspended, x.reports, x.pause, x.crashes, x.replace = false, false, false, false, false, false, nil
	switch e.kind {
	case commitSetting:
		x.cache = e.n % 5
	case commitEnv:
		x.zone = []string{"UTC", "CET", "EST"}[e.n%3]
	case commitData:
		if x.data = 2 + e.n%4; x.masters == 0 {
			x.data = 3 + e.n%2*2
		}
	case commitMasters:
		if x.masters > 0 {
			x.masters = 3 + e.n%2*2
		}
	case commitUpgrade:
		x.release = min(x.release+1, len(x.releases)-1)
	case commitRestart:
		x.restart = fmt.Sprint("again-", e.n)
	case commitKibana:
		x.kibana = 20 + e.n%3
	case commitPause:
		x.cache, x.pause = e.n%5, true
	case commitReplace:
		x.replace = l.someInstance(e.n)
	case commitResize:
		if x.masters > 0 {
			x.generation++
		}
	case commitRebalance:
		x.rebalance = e.n % 3
	case commitSuspend:
		x.suspended = true
	case commitReport:
		x.reports = true
	case commitCrash:
		x.crashes = true
	case commitRevert:
		x = l.before(1)
	case commitPush:
		x = l.before(2)
	case commitBroken:
		x.broken = true
	case commitVanish:
		x.absent = true
	case commitBurst:
		for i := range 3 {
			x.cache = (e.n + i) % 5
			l.push(x)
		}
	}
	l.push(x)
}

// before is the wish of some commits ago, but for what can never be taken back: versions and generations.
func (l *life) before(n int) wish {
	x := l.past[max(0, len(l.past)-1-n)]
	x.release, x.generation = l.wish.release, l.wish.generation
	return x
}

func (l *life) push(x wish) {
	l.wish = x
	l.past = append(l.past, x)
	l.commits++
	for path := range l.w.Files {
		l.w.Write(path, "")
	}
	for path, text := range x.files() {
		l.w.Write(path, text)
	}
}

// someInstance is the Marathon instance of a data node.
func (l *life) someInstance(n int) []string {
	for _, a := range l.w.Sim.View().Apps {
		if a.ID == group+"/es-datanode" && len(a.Tasks) > 0 {
			return []string{string(a.Tasks[n%len(a.Tasks)].Instance)}
		}
	}
	return nil
}
