package plan

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

func TestACreationGoesOneReadyStageAtATime(t *testing.T) {
	w := standard()
	expect(t, w.plan(), "converging | create gate")
	w.up(spec.Gate)
	expect(t, w.plan(), "converging | create discovery")
	w.up(spec.Discovery)
	expect(t, w.plan(), "converging | create es-master")
	w.up(spec.Master)
	expect(t, w.plan(), "converging | record-uuid gate")
	w.formed()
	expect(t, w.plan(), "converging | create es-datanode")
	w.up(spec.Data)
	expect(t, w.plan(), "converging | create es2graphite")
	w.up(spec.Exporter)
	expect(t, w.plan(), "converging | create kibana")
	w.up(spec.Kibana)
	expect(t, w.plan(), "converged")
}

func TestThePlanForAnEmptyMarathonListsEveryStepInOrder(t *testing.T) {
	var verbs []string
	for _, s := range standard().plan().Steps {
		verbs = append(verbs, string(s.Verb)+" "+s.App.Name())
	}
	want := "create gate, create discovery, create es-master, create es-datanode, create es2graphite, create kibana"
	if got := strings.Join(verbs, ", "); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestCreationWaits(t *testing.T) {
	for _, c := range []struct {
		name string
		bend func(*world)
		want string
	}{
		{"for masters that are placed but not healthy", func(w *world) {
			w.up(spec.Gate, spec.Discovery, spec.Master)
			w.app(spec.Master).Tasks[1].HealthCheckResults = nil
		}, "waiting | wait tasks-not-ready"},
		{"for a master that a deployment claims to have started but nobody sees", func(w *world) {
			w.up(spec.Gate, spec.Discovery, spec.Master)
			w.app(spec.Master).Tasks = w.app(spec.Master).Tasks[:2]
		}, "waiting | wait tasks-not-ready"},
		{"for the open deployment of the masters, although all their tasks run", func(w *world) {
			w.up(spec.Gate, spec.Discovery, spec.Master)
			w.facts.Marathon.Deployments = []marathon.Deployment{{ID: "d", AffectedApps: []marathon.AppID{id(spec.Master)}}}
		}, "waiting | wait deployment-open"},
		{"while Elasticsearch cannot be asked", func(w *world) {
			w.up(spec.Gate, spec.Discovery, spec.Master)
			w.es = esgate.Health{Asked: true, Why: "timeout"}
		}, "waiting | wait elasticsearch-unknown"},
		{"with data nodes while the uuid is being written", func(w *world) {
			w.up(spec.Gate, spec.Discovery, spec.Master)
			w.facts.Marathon.Deployments = []marathon.Deployment{{ID: "d", AffectedApps: []marathon.AppID{id(spec.Gate)}}}
		}, "waiting | wait deployment-open | wait deployment-open"},
		{"for green before the exporter", func(w *world) {
			w.up(spec.Gate, spec.Discovery, spec.Master, spec.Data).formed()
			w.es.Status = "yellow"
		}, "waiting | wait cluster-not-green"},
		{"for every data node to join before the exporter", func(w *world) {
			w.up(spec.Gate, spec.Discovery, spec.Master, spec.Data).formed()
			w.es.Nodes = w.es.Nodes[1:]
		}, "waiting | wait cluster-not-green"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := standard()
			c.bend(w)
			expect(t, w.plan(), c.want)
		})
	}
}

func TestAnotherClusterBehindTheMastersStopsEverything(t *testing.T) {
	w := standard().up(spec.Gate, spec.Discovery, spec.Master)
	w.es.Name = "somebody-else"
	expect(t, w.plan(), "held | hold another-cluster-answers")
	w.formed()
	w.es.Name, w.es.UUID = "search-logs", "u-2"
	expect(t, w.plan(), "held | hold another-cluster-answers")
}

func TestTheUUIDIsWrittenBesideWhatTheGateAlreadyKnows(t *testing.T) {
	w := standard().up(spec.Gate, spec.Discovery, spec.Master)
	w.app(spec.Gate).Labels[marathon.LabelSuspended] = `{"reason":"old","until":"2020-01-01T00:00:00Z"}`
	p := w.plan()
	s := p.Next()
	labels := s.Doc["labels"].(map[string]any)
	if labels[marathon.LabelClusterUUID] != "u-1" || labels[marathon.LabelSuspended] == nil || labels[marathon.LabelFleet] != "demo" {
		t.Errorf("labels are %v", labels)
	}
	if _, ok := w.want.App(spec.Gate).Doc["labels"].(map[string]any)[marathon.LabelClusterUUID]; ok {
		t.Error("the desired definition itself was changed")
	}
}

func TestARunningCluster(t *testing.T) {
	for _, c := range []struct {
		name string
		bend func(*world) []drift.Difference
		want string
	}{
		{"takes a changed file into the definition before any node restarts", func(w *world) []drift.Difference {
			return []drift.Difference{change(spec.Data, drift.Update, "env.X")}
		}, "converging | commit es-datanode"},
		{"keeps what Marathon cannot change", func(w *world) []drift.Difference {
			return []drift.Difference{change(spec.Data, drift.Replace, "mem")}
		}, "held | hold immutable-with-volumes"},
		{"gets more data nodes", func(w *world) []drift.Difference {
			w.want.App(spec.Data).Instances = 4
			return []drift.Difference{change(spec.Data, drift.Scale, "instances")}
		}, "converging | scale-out es-datanode"},
		{"gets no data node while one is down", func(w *world) []drift.Difference {
			w.want.App(spec.Data).Instances = 4
			w.app(spec.Data).Tasks[0].State = "TASK_FAILED"
			return []drift.Difference{change(spec.Data, drift.Scale, "instances")}
		}, "waiting | wait tasks-not-ready | wait tasks-not-ready"},
		{"gets no data node while an agent is out of reach", func(w *world) []drift.Difference {
			w.want.App(spec.Data).Instances = 4
			w.app(spec.Data).Tasks[0].State = "TASK_UNREACHABLE"
			return []drift.Difference{change(spec.Data, drift.Scale, "instances")}
		}, "waiting | wait tasks-not-ready | wait instance-unreachable"},
		{"drains a data node before it goes", func(w *world) []drift.Difference {
			w.want.App(spec.Data).Instances = 2
			return []drift.Difference{change(spec.Data, drift.Scale, "instances")}
		}, "converging | drain es-datanode"},
		{"never changes definition and instances together", func(w *world) []drift.Difference {
			w.want.App(spec.Data).Instances = 4
			return []drift.Difference{change(spec.Data, drift.Scale, "instances"), change(spec.Data, drift.Update, "env.X")}
		}, "converging | commit es-datanode"},
		{"does not scale while an older definition runs", func(w *world) []drift.Difference {
			w.want.App(spec.Data).Instances = 4
			w.old(spec.Data, 1)
			return []drift.Difference{change(spec.Data, drift.Scale, "instances"), {App: id(spec.Data), Class: drift.Mixed, Tasks: []marathon.TaskID{"t"}}}
		}, "converging | stop-node es-datanode"},
		{"brings back the one node that was stopped", func(w *world) []drift.Difference {
			w.want.App(spec.Data).Instances = 4
			w.app(spec.Data).Tasks = append(w.app(spec.Data).Tasks, marathon.Task{ID: "x", State: "TASK_KILLED", LocalVolumes: []marathon.LocalVolume{{}}})
			return []drift.Difference{change(spec.Data, drift.Scale, "instances")}
		}, "converging | start-node es-datanode"},
		{"brings back all nodes that somebody has stopped, so that none is chosen", func(w *world) []drift.Difference {
			w.want.App(spec.Data).Instances = 5
			for _, host := range []string{"host-7", "host-8"} {
				w.app(spec.Data).Tasks = append(w.app(spec.Data).Tasks, marathon.Task{ID: marathon.TaskID(host), Host: host, State: "TASK_KILLED", LocalVolumes: []marathon.LocalVolume{{}}})
			}
			return []drift.Difference{change(spec.Data, drift.Scale, "instances")}
		}, "converging | start-node es-datanode"},
		{"gets more masters from version 7 on", func(w *world) []drift.Difference {
			w.want.App(spec.Master).Instances = 5
			return []drift.Difference{change(spec.Master, drift.Scale, "instances")}
		}, "converging | scale-out es-master"},
		{"gets more masters only after the quorum where that is a setting", func(w *world) []drift.Difference {
			w.want.Spec.Elasticsearch.Version.Major = 6
			w.want.App(spec.Master).Instances = 5
			return []drift.Difference{change(spec.Master, drift.Scale, "instances")}
		}, "converging | elasticsearch es-master"},
		{"gets a new Kibana", func(w *world) []drift.Difference {
			return []drift.Difference{change(spec.Kibana, drift.Update, "container.docker.image")}
		}, "converging | update kibana"},
		{"gets a new Kibana also while a data node is down", func(w *world) []drift.Difference {
			w.app(spec.Data).Tasks[0].State = "TASK_FAILED"
			return []drift.Difference{change(spec.Kibana, drift.Update, "container.docker.image")}
		}, "converging | update kibana | wait tasks-not-ready"},
		{"gets fewer Kibanas", func(w *world) []drift.Difference {
			w.app(spec.Kibana).Instances = 2
			w.app(spec.Kibana).Tasks = append(w.app(spec.Kibana).Tasks, task(spec.Kibana, 1))
			return []drift.Difference{change(spec.Kibana, drift.Scale, "instances")}
		}, "converging | scale-in kibana"},
		{"leaves an app alone while somebody rolls it", func(w *world) []drift.Difference {
			w.facts.Marathon.Deployments = []marathon.Deployment{{ID: "d", AffectedApps: []marathon.AppID{id(spec.Data)},
				CurrentActions: []marathon.Action{{Action: "RestartApplication", App: id(spec.Data)}}}}
			return []drift.Difference{change(spec.Data, drift.Update, "env.X")}
		}, "waiting | wait foreign-deployment"},
		{"lets go of its own hanging change of a stateless app when git says something else", func(w *world) []drift.Difference {
			w.facts.OwnDeployments = map[marathon.DeploymentID]bool{"d": true}
			w.facts.Marathon.Deployments = []marathon.Deployment{{ID: "d", AffectedApps: []marathon.AppID{id(spec.Kibana)}}}
			return []drift.Difference{change(spec.Kibana, drift.Update, "container.docker.image")}
		}, "converging | cancel kibana"},
		{"never cancels what somebody else started", func(w *world) []drift.Difference {
			w.facts.Marathon.Deployments = []marathon.Deployment{{ID: "d", AffectedApps: []marathon.AppID{id(spec.Kibana)}}}
			return []drift.Difference{change(spec.Kibana, drift.Update, "container.docker.image")}
		}, "waiting | wait deployment-open"},
		{"stops a component without data that git has dropped", func(w *world) []drift.Difference {
			w.facts.Marathon.Apps["/search/logs/es-ingest"] = &marathon.App{ID: "/search/logs/es-ingest", Instances: 2}
			return []drift.Difference{{App: "/search/logs/es-ingest", Component: spec.Ingest, Class: drift.Orphan}}
		}, "converging | stop es-ingest"},
		{"never stops nodes with data because a line is missing", func(w *world) []drift.Difference {
			w.facts.Marathon.Apps["/search/logs/old"] = &marathon.App{ID: "/search/logs/old", Instances: 2}
			return []drift.Difference{{App: "/search/logs/old", Component: spec.Data, Class: drift.Orphan}}
		}, "held | hold vanished-from-git"},
		{"is not written to while it is suspended in git", func(w *world) []drift.Difference {
			w.want.Spec.Suspend = &spec.Suspension{Reason: "disk surgery"}
			return []drift.Difference{change(spec.Kibana, drift.Update, "cmd")}
		}, "suspended | wait suspended"},
		{"is not written to while its gate says suspended", func(w *world) []drift.Difference {
			w.app(spec.Gate).Labels[marathon.LabelSuspended] = WriteSuspension(spec.Suspension{Reason: "x", Until: now.Add(time.Minute)})
			return []drift.Difference{change(spec.Kibana, drift.Update, "cmd")}
		}, "suspended | wait suspended"},
		{"is not written to while its gate's suspension cannot be read", func(w *world) []drift.Difference {
			w.app(spec.Gate).Labels[marathon.LabelSuspended] = "{"
			return []drift.Difference{change(spec.Kibana, drift.Update, "cmd")}
		}, "suspended | wait suspended"},
		{"goes on when the suspension has run out", func(w *world) []drift.Difference {
			w.app(spec.Gate).Labels[marathon.LabelSuspended] = WriteSuspension(spec.Suspension{Reason: "x", Until: now})
			return []drift.Difference{change(spec.Kibana, drift.Update, "cmd")}
		}, "converging | update kibana"},
		{"is only reported on if git says so", func(w *world) []drift.Difference {
			w.want.Spec.Drift = spec.Report
			return []drift.Difference{change(spec.Kibana, drift.Update, "cmd")}
		}, "held | hold report-only"},
		{"waits while live state is not settled", func(w *world) []drift.Difference {
			w.facts.Settling = "an answer was lost"
			return []drift.Difference{change(spec.Kibana, drift.Update, "cmd")}
		}, "unknown | wait state-not-settled"},
		{"is left alone on a Marathon that loses volumes", func(w *world) []drift.Difference {
			w.facts.Marathon.Version = marathon.Version{Major: 1, Minor: 4, Patch: 1}
			return nil
		}, "held | hold marathon-version"},
		{"does not take over an app that is not ours", func(w *world) []drift.Difference {
			w.app(spec.Kibana).Labels = nil
			return nil
		}, "held | hold foreign-app"},
		{"counts a task that Elasticsearch's old health result speaks for as not ready", func(w *world) []drift.Difference {
			w.app(spec.Data).Tasks[2].HealthCheckResults = []marathon.HealthResult{
				{Alive: true, LastSuccess: "2026-03-01T01:00:00Z"}, {Alive: false, LastFailure: "2026-03-01T02:00:00Z"}}
			return nil
		}, "waiting | wait tasks-not-ready"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := standard().all()
			d := c.bend(w)
			expect(t, w.plan(d...), c.want)
		})
	}
}

func TestACommitThatTouchesTooManyClustersHoldsThemAllUntilItIsApproved(t *testing.T) {
	ids := []spec.ClusterID{{Group: "b", Name: "x"}, {Group: "a", Name: "y"}}
	g := spec.Guards{MaxClusters: 1}
	h := Guard(g, ids, "abc")
	if h == nil || !strings.Contains(h.WayOut, `approve: "abc"`) {
		t.Fatalf("guard is %+v", h)
	}
	w := standard().all()
	w.facts.Guard = h
	expect(t, w.plan(change(spec.Kibana, drift.Update, "cmd")), "held | hold blast-radius")
	g.Approve = "abc"
	if h := Guard(g, ids, "abc"); h != nil {
		t.Errorf("an approved commit is held: %+v", h)
	}
	if h := Guard(spec.Guards{MaxClusters: 2}, ids, "abc"); h != nil {
		t.Errorf("a commit within the bound is held: %+v", h)
	}
}

func TestABrandNewClusterIsNoBlastRadius(t *testing.T) {
	w := standard()
	w.facts.Guard = &Hold{Rule: RuleBlastRadius}
	expect(t, w.plan(), "converging | create gate")
	p := w.plan()
	if p.Touches() {
		t.Error("a creation counts as touching a cluster")
	}
}

func TestRetirementStopsInReverseOrderAndKeepsVolumes(t *testing.T) {
	w := standard().all()
	w.want.Spec.State = spec.Retired
	for _, c := range []spec.Component{spec.Kibana, spec.Exporter, spec.Data, spec.Master, spec.Discovery} {
		expect(t, w.plan(), "converging | stop "+c.AppName())
		w.app(c).Instances = 0
		if !c.Stateful() {
			w.app(c).Tasks = nil
			continue
		}
		expect(t, w.plan(), "waiting | wait tasks-not-ready")
		for i := range w.app(c).Tasks {
			w.app(c).Tasks[i] = marathon.Task{ID: "s", State: "TASK_KILLED", LocalVolumes: []marathon.LocalVolume{{}}}
		}
	}
	expect(t, w.plan(), "retired")
}

func TestARetiredClusterComesBackOnItsVolumes(t *testing.T) {
	w := standard().all()
	w.app(spec.Data).Instances = 0
	for i := range w.app(spec.Data).Tasks {
		w.app(spec.Data).Tasks[i] = marathon.Task{ID: "s", State: "TASK_KILLED", LocalVolumes: []marathon.LocalVolume{{}}}
	}
	expect(t, w.plan(change(spec.Data, drift.Scale, "instances")), "converging | scale-out es-datanode")
}

func TestWithoutDedicatedMastersTheDataNodesFormTheCluster(t *testing.T) {
	w := newWorld(spec.Gate, spec.Discovery, spec.Data, spec.Exporter).up(spec.Gate, spec.Discovery, spec.Data)
	expect(t, w.plan(), "converging | record-uuid gate")
	w.formed()
	expect(t, w.plan(), "converging | create es2graphite")
}

func TestWhatIsNotReadySaysWhy(t *testing.T) {
	w := standard().all()
	w.app(spec.Data).Tasks = w.app(spec.Data).Tasks[:2]
	w.app(spec.Data).LastTaskFailure = "pre-run.sh failed with exit code 3\nsecond line"
	w.facts.Marathon.Queue = []marathon.QueueItem{{App: id(spec.Data), Count: 1, BackoffSeconds: 7, Offers: 5,
		Rejections: map[string]int{"InsufficientMemory": 3, "UnfulfilledConstraint": 2}}}
	got := w.plan().Waits[0].Why
	want := "es-datanode: 2 of 3 tasks are up and healthy; the next start is held back for 7 s after failures; " +
		"no offer fits: InsufficientMemory on 3 of 5, UnfulfilledConstraint on 2 of 5; last failure: pre-run.sh failed with exit code 3"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// A verdict that is lost while Marathon's leader changes never comes, and what is created later would wait for it for ever.
func TestATaskWithoutDataOfWhoseHealthNothingIsHeardIsStartedAnew(t *testing.T) {
	for _, c := range []struct {
		name string
		bend func(*world, *marathon.Task)
		want string
	}{
		{"long after its start", func(*world, *marathon.Task) {}, "converging | restart-task discovery | wait tasks-not-ready"},
		{"but not soon after it", func(_ *world, x *marathon.Task) { x.StartedAt = now.Add(-20 * time.Second).Format(time.RFC3339) },
			"waiting | wait tasks-not-ready"},
		{"but not one whose check fails", func(_ *world, x *marathon.Task) {
			x.HealthCheckResults = []marathon.HealthResult{{LastFailure: now.Format(time.RFC3339)}}
		}, "waiting | wait tasks-not-ready"},
		{"but not one that is healthy", func(_ *world, x *marathon.Task) {
			x.HealthCheckResults = []marathon.HealthResult{{Alive: true, LastSuccess: now.Format(time.RFC3339)}}
		}, "converging | create es-master"},
		{"but not while a deployment is open", func(w *world, _ *marathon.Task) {
			w.facts.Marathon.Deployments = []marathon.Deployment{{ID: "d", AffectedApps: []marathon.AppID{id(spec.Discovery)}}}
		}, "waiting | wait deployment-open"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := standard().up(spec.Gate, spec.Discovery)
			x := &w.app(spec.Discovery).Tasks[0]
			x.HealthCheckResults = nil
			x.StagedAt = now.Add(-time.Hour).Format(time.RFC3339)
			x.StartedAt = x.StagedAt
			c.bend(w, x)
			got := w.plan()
			got.Steps = slices.DeleteFunc(got.Steps, func(s Step) bool { return s.After != "" })
			expect(t, got, c.want)
		})
	}
}

// A mistake in a new cluster's first commit is mended by the next: nothing has formed that could lose anything.
func TestMastersThatNeverFormedAClusterTakeAnotherDefinition(t *testing.T) {
	w := standard().up(spec.Gate, spec.Discovery, spec.Master)
	broken := w.app(spec.Master)
	broken.LastTaskFailure = "no such image"
	for i := range broken.Tasks {
		broken.Tasks[i].State = "TASK_FAILED"
	}
	update := change(spec.Master, drift.Update, "container.docker.image")
	w.facts.Marathon.Deployments = []marathon.Deployment{{ID: "d", AffectedApps: []marathon.AppID{id(spec.Master)}}}
	expect(t, w.plan(update), "waiting | wait deployment-open")
	w.facts.OwnDeployments = map[marathon.DeploymentID]bool{"d": true}
	expect(t, w.plan(update), "converging | cancel es-master")
	w.facts.Marathon.Deployments = nil
	expect(t, w.plan(update), "converging | stop es-master | wait tasks-not-ready")
	broken.Instances = 0
	broken.Tasks[0].State = "TASK_RUNNING"
	expect(t, w.plan(update, change(spec.Master, drift.Scale, "instances")), "waiting | wait tasks-not-ready")
	broken.Tasks = broken.Tasks[1:]
	for i := range broken.Tasks {
		broken.Tasks[i] = marathon.Task{ID: "s", State: "TASK_KILLED", LocalVolumes: []marathon.LocalVolume{{}}}
	}
	p := w.plan(update, change(spec.Master, drift.Scale, "instances"))
	expect(t, p, "converging | update es-master")
	if n := p.Next().Doc["instances"]; n != 0 {
		t.Errorf("definition and instances (%v) change together", n)
	}
	expect(t, w.plan(change(spec.Master, drift.Scale, "instances")), "converging | scale-out es-master")

	// A cluster that was stopped as a whole takes it just so: nothing runs that could restart.
	w.formed()
	p = w.plan(update, change(spec.Master, drift.Scale, "instances"))
	expect(t, p, "converging | update es-master")
	if !strings.Contains(p.Next().Why, "it is stopped") {
		t.Error(p.Next().Why)
	}
}

func TestARetiredClusterComesBackStageByStage(t *testing.T) {
	w := standard().all()
	scale := []drift.Difference{}
	for _, c := range []spec.Component{spec.Discovery, spec.Master, spec.Data, spec.Exporter, spec.Kibana} {
		w.app(c).Instances, w.app(c).Tasks = 0, nil
		scale = append(scale, change(c, drift.Scale, "instances"))
	}
	for i, c := range []spec.Component{spec.Discovery, spec.Master, spec.Data, spec.Exporter, spec.Kibana} {
		expect(t, w.plan(scale[i:]...), "converging | scale-out "+c.AppName())
		w.app(c).Instances = w.want.App(c).Instances
		expect(t, w.plan(scale[i+1:]...), "waiting | wait tasks-not-ready")
		w.up(c)
	}
	expect(t, w.plan(), "converged")
}
