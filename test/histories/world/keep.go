package world

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/marathonsink/marathonsim"
	"github.com/esfleet/esfleet/marathonsink/marathonsim/pretend"
)

// A keeper remembers what the truth was.
type keeper struct {
	groups  map[string]*groupTruth
	volumes map[string]bool // of stateful apps, ever
	gone    map[string]bool // that were rightly destroyed
	apps    map[marathon.AppID]bool
	goneApp map[marathon.AppID]bool
	told    map[string]bool // what was found broken already
}

// A groupTruth is a cluster's.
type groupTruth struct {
	formed      bool
	destroyed   bool      // by a word in git
	well        time.Time // when it was last seen well
	ill         string    // why it was not, last
	illSince    time.Time // when it was last found so for the first time
	masterTask  marathon.TaskID
	masterSince time.Time
	down        map[string]stop // instances stopped by our hand, until they are back
}

type stop struct {
	task   marathon.TaskID
	at     time.Time
	leaves bool // for good
	left   bool // and the cluster is well without it: nobody who is down
}

func newKeeper() keeper {
	return keeper{groups: map[string]*groupTruth{}, volumes: map[string]bool{}, gone: map[string]bool{}, apps: map[marathon.AppID]bool{},
		goneApp: map[marathon.AppID]bool{}, told: map[string]bool{}}
}

func (k *keeper) group(name string) *groupTruth {
	g := k.groups[name]
	if g == nil {
		g = &groupTruth{down: map[string]stop{}}
		k.groups[name] = g
	}
	return g
}

// allow notes that an app or the volumes of some of its instances may go.
func (k *keeper) allow(app marathon.AppID, tasks ...marathonsim.Task) {
	k.goneApp[app] = true
	for _, t := range tasks {
		for _, v := range t.Volumes {
			k.gone[v.PersistenceID] = true
		}
	}
}

// Keep checks what must hold at every moment; call it after whatever a test does to the world.
func (l *Law) Keep() {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.sample()
	l.keep()
}

// keep checks that nothing was lost.
func (l *Law) keep() {
	k := &l.keeper
	l.check("no-volume-is-lost")
	l.check("no-app-is-lost")
	apps, volumes := map[marathon.AppID]bool{}, map[string]bool{}
	for _, a := range l.view().Apps {
		apps[a.ID] = true
		for _, t := range a.Tasks {
			for _, x := range t.Volumes {
				volumes[x.PersistenceID] = true
			}
		}
	}
	for id := range k.apps {
		if !apps[id] && !k.goneApp[id] {
			l.once("%s was deleted", id)
		}
	}
	for id := range k.volumes {
		if !volumes[id] && !k.gone[id] {
			l.once("the volume %s was deleted", id)
		}
	}
	for id := range volumes {
		k.volumes[id] = true
	}
	k.apps = apps
}

// documents checks what only the clusters themselves can tell.
func (l *Law) documents(c *pretend.Cluster) {
	l.check("no-acknowledged-document-is-lost")
	if len(c.Lost) > 0 {
		l.once("%s has lost %d acknowledged documents, %s first", c.Group, len(c.Lost), c.Lost[0])
	}
	l.check("one-cluster-one-master")
	for _, v := range c.Violations {
		l.once("%s: %s", c.Group, v)
	}
	l.check("a-majority-of-voters-lives")
	if c.Doomed != "" {
		l.once("%s can never elect a master again: %s", c.Group, c.Doomed)
	}
}

// client is one that writes all the time.
func (l *Law) client(c *pretend.Cluster) {
	for _, index := range l.w.indices {
		_, _ = l.w.Nodes.Write(c.Group, index) // what is not acknowledged is nobody's loss
	}
}

// once tells what stays broken only once.
func (l *Law) once(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !l.keeper.told[text] {
		l.keeper.told[text] = true
		l.breaks("%s", text)
	}
}

// sample looks at every cluster as it is now.
func (l *Law) sample() {
	now := time.Now()
	l.sampled = now
	var view marathonsim.View
	for i, c := range l.w.Nodes.Clusters() {
		if i == 0 {
			view = l.view()
		}
		g := l.keeper.group(string(c.Group))
		if !g.destroyed {
			l.documents(&c)
			l.client(&c)
		}
		g.formed = g.formed || l.recorded(&view, string(c.Group))
		was := g.ill
		if g.ill = ill(&c, &view); g.ill == "" {
			g.well = now
		} else if was == "" {
			g.illSince = now
		}
		task := marathon.TaskID("")
		for _, m := range c.Members {
			if m.Name == c.Master {
				task = m.Task
			}
		}
		if task != g.masterTask {
			g.masterTask, g.masterSince = task, now
		}
		g.returned(&c, &view, now)
	}
}

func (l *Law) recorded(view *marathonsim.View, group string) bool {
	for i := range view.Apps {
		if string(view.Apps[i].ID) == group+"/gate" {
			return view.Apps[i].Labels[marathon.LabelClusterUUID] != ""
		}
	}
	return false
}

// ill says why no node of the cluster may be stopped now; "" if one may.
func ill(c *pretend.Cluster, view *marathonsim.View) string {
	versions := map[string]bool{}
	for _, m := range c.Members {
		versions[m.Version] = true
		if m.Gone {
			return m.Name + " does not answer"
		}
	}
	switch {
	case c.Master == "":
		return "no master"
	case c.Health == "red", c.Health == "yellow" && len(versions) < 2:
		return c.Health
	}
	want := 0
	for i := range view.Apps {
		if a := &view.Apps[i]; a.ID.Group() == string(c.Group) && strings.HasPrefix(a.ID.Name(), "es-") {
			want += a.Instances
		}
	}
	if len(c.Members) < want {
		return fmt.Sprintf("%d of %d members", len(c.Members), want)
	}
	return ""
}

// returned drops those who were stopped and are back, or whose stop never came about.
func (g *groupTruth) returned(c *pretend.Cluster, view *marathonsim.View, now time.Time) {
	if len(g.down) == 0 {
		return
	}
	member := map[marathon.TaskID]bool{}
	for _, m := range c.Members {
		member[m.Task] = true
	}
	unreached := map[marathon.TaskID]bool{} // given up in git, and running on where Marathon's word does not get to
	for i := range view.Apps {
		for j := range view.Apps[i].Tasks {
			t := &view.Apps[i].Tasks[j]
			unreached[t.ID] = t.State == "TASK_UNREACHABLE"
			s, ok := g.down[string(t.Instance)]
			if ok && t.State == "TASK_RUNNING" && member[t.ID] && (t.ID != s.task || now.Sub(s.at) > 15*time.Second) {
				delete(g.down, string(t.Instance))
			}
		}
	}
	for instance, s := range g.down {
		if s.leaves && !s.left && c.Health == "green" && (!member[s.task] || unreached[s.task]) {
			s.left = true
			g.down[instance] = s
		}
	}
}

// owns notes the deployments that an answer names.
func (l *Law) owns(d *daemon, res *http.Response, body []byte) {
	var answer struct {
		DeploymentID marathon.DeploymentID `json:"deploymentId"`
		Deployments  []struct {
			ID marathon.DeploymentID `json:"id"`
		} `json:"deployments"`
	}
	_ = json.Unmarshal(body, &answer) // what is no JSON names none
	if answer.DeploymentID != "" {
		l.deployments[answer.DeploymentID] = d
	}
	if id := res.Header.Get("Marathon-Deployment-Id"); id != "" {
		l.deployments[marathon.DeploymentID(id)] = d
	}
	for _, x := range answer.Deployments {
		if res.StatusCode < 300 {
			l.deployments[x.ID] = d
		}
	}
}

// Allow says that an app may go: somebody else is about to delete it.
func (l *Law) Allow(app marathon.AppID) {
	l.w.mu.Lock()
	defer l.w.mu.Unlock()
	l.keeper.goneApp[app] = true
}
