package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/preflight"
	"github.com/esfleet/esfleet/render"
	"github.com/esfleet/esfleet/spec"
)

// A Room is what the cluster would newly take of the pool, and whether the pool has it.
type Room struct {
	Ask preflight.Ask
	// Verdict is Unknown, without a reason, as long as Facts has no Pool: have one and make the plan again.
	Verdict preflight.Verdict
}

// A Note is worth knowing, and neither keeps anything from being done nor asks for anything.
type Note struct {
	Rule string `json:"rule"`
	Why  string `json:"why"`
}

// room asks whether Mesos can place all that the steps are to start, before the first of them is taken: also what comes
// much later, so that nothing is begun that gets stuck half-way. What comes back on a volume of its own has its place; what
// was begun and waits for one takes it from others. Only a certain no holds. Where the pool cannot be asked, that is noted,
// and what is done is what was always done.
func (m *maker) room() {
	starts := m.placing()
	missing := m.missing(len(starts) > 0)
	if len(missing) == 0 {
		return
	}
	ask, err := m.toPlace(missing)
	m.out.Room = &Room{Ask: ask}
	if m.facts.Pool == nil {
		return
	}
	v := preflight.Place(m.facts.Pool, ask)
	if err != nil {
		v = preflight.Verdict{Why: err.Error()}
	}
	m.out.Room.Verdict = v
	switch {
	case len(starts) == 0: // it is begun; that it waits, and for what, is told already
	case v.Answer == preflight.Unknown:
		m.note(RuleRoomUnknown, "whether the pool has room is not known: "+v.Why)
	case v.Answer == preflight.Fits:
		m.note(RuleRoom, placedText(v))
	case v.Answer == preflight.NoRoom:
		m.noRoom(v, starts)
	}
}

// noRoom holds every step that starts something new.
func (m *maker) noRoom(v preflight.Verdict, starts []int) {
	h := Hold{App: v.App, Rule: RuleNoRoom, Why: v.Why, Pos: m.want.Spec.Pos,
		WayOut: "add an agent, free what others hold, or ask for fewer or smaller nodes; it goes on by itself once there is room"}
	if i := slices.IndexFunc(m.want.Apps, func(a render.App) bool { return a.ID == v.App }); i >= 0 {
		h.Component, h.Pos = m.want.Apps[i].Component, m.origin(&m.want.Apps[i], "replicas")
	}
	m.hold(h)
	for _, i := range starts {
		if m.out.Steps[i].After == "" {
			m.out.Steps[i].After = "the pool has room"
		}
	}
}

// placing are the steps that lead to new instances, by their place in the plan.
func (m *maker) placing() []int {
	var out []int
	for i := range m.out.Steps {
		s := &m.out.Steps[i]
		switch s.Verb {
		case CreateApp, ScaleOut:
			out = append(out, i)
		case UpdateApp:
			if !s.Component.Stateful() && s.Instances > s.From {
				out = append(out, i)
			}
		case DrainNodes, RemoveNode:
			if m.replaces(s.App) {
				out = append(out, i)
			}
		case ChangeCluster:
			if s.Change != nil && len(s.Change.ExcludeVotes) > 0 && m.replaces(s.App) {
				out = append(out, i)
			}
		}
	}
	return out
}

// replaced are the instances of an app that git gives up for blank ones and that still stand.
func (m *maker) replaced(app marathon.AppID) []marathon.InstanceID {
	if m.going == nil {
		return nil // the plan has not come to who leaves
	}
	var out []marathon.InstanceID
	for _, l := range *m.going {
		if l.role.live.ID == app && l.role.want != nil && !l.stopped() && m.namedFor(*l.slot) != nil {
			out = append(out, l.slot.instance)
		}
	}
	return out
}

func (m *maker) replaces(app marathon.AppID) bool { return len(m.replaced(app)) > 0 }

// missing counts, by app, the instances that have no place yet: of all that git wants if something is to be started, else
// of what Marathon is to run already. An app that lacks none is not there.
func (m *maker) missing(all bool) map[marathon.AppID]int {
	var out map[marathon.AppID]int
	for i := range m.want.Apps {
		a := &m.want.Apps[i]
		n, live := a.Instances, m.live(a.ID)
		switch {
		case a.Component == spec.Gate: // fits no host, and is not to
			continue
		case live != nil:
			if !all {
				n = min(n, live.Instances)
			}
			n -= len(preflight.Places(live, m.replaced(a.ID)))
		case !all:
			continue
		}
		if n > 0 {
			if out == nil {
				out = map[marathon.AppID]int{}
			}
			out[a.ID] = n
		}
	}
	return out
}

// toPlace is what the missing instances ask for, and where the others of their apps are.
func (m *maker) toPlace(missing map[marathon.AppID]int) (preflight.Ask, error) {
	var ask preflight.Ask
	for i := range m.want.Apps {
		a := &m.want.Apps[i]
		if missing[a.ID] == 0 {
			continue
		}
		it, err := preflight.ItemOf(a.ID, a.Doc, missing[a.ID])
		if err != nil {
			return ask, err
		}
		if live := m.live(a.ID); live != nil {
			gone := m.replaced(a.ID)
			it.Placed, ask.Frees = preflight.Places(live, gone), append(ask.Frees, gone...)
		}
		ask.Items = append(ask.Items, it)
	}
	return ask, nil
}

// placedText shows a placement: '4 new tasks fit: discovery on h1; es-master on h1, h2, h3'.
func placedText(v preflight.Verdict) string {
	const most = 8 // hosts of one app
	n := 0
	var apps []marathon.AppID
	hosts := map[marathon.AppID][]string{}
	for _, x := range v.Placement {
		n += x.Count
		if hosts[x.App] == nil {
			apps = append(apps, x.App)
		}
		name := x.Hostname
		if x.Count > 1 {
			name += fmt.Sprintf(" (%d)", x.Count)
		}
		hosts[x.App] = append(hosts[x.App], name)
	}
	var parts []string
	for _, app := range apps {
		on := hosts[app]
		if len(on) > most {
			on = append(on[:most:most], fmt.Sprintf("%d more", len(on)-most))
		}
		parts = append(parts, app.Name()+" on "+strings.Join(on, ", "))
	}
	text := fmt.Sprintf("%d new %s can be placed", n, plural(n, "task"))
	if !v.AnyOrder {
		text += ", if Marathon chooses well: it takes the first agent that will do"
	}
	return text + ": " + strings.Join(parts, "; ")
}

func (m *maker) note(rule, why string) { m.out.Notes = append(m.out.Notes, Note{rule, why}) }
