package pretend

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

// snapshotTakes is the time of one that a client asks for.
const snapshotTakes = 5 * time.Second

func (x *call) getRepos() answer {
	out := obj{}
	for name, r := range x.c.meta.repos {
		if len(x.parts) < 2 || x.parts[1] == "_all" || matches(words(x.parts[1]), name) {
			out[name] = r
		}
	}
	if len(out) == 0 && len(x.parts) > 1 && x.parts[1] != "_all" {
		return x.noRepo(x.parts[1])
	}
	return ok(out)
}

func (x *call) noRepo(name string) answer {
	return failure(http.StatusNotFound, "repository_missing_exception", fmt.Sprintf("[%s] missing", name))
}

func (x *call) putRepo() answer {
	kind, _ := x.body["type"].(string)
	if kind != "fs" && kind != "url" && kind != "hdfs" && kind != "s3" {
		return failure(http.StatusInternalServerError, "repository_exception", fmt.Sprintf("[%s] repository type [%s] does not exist", x.parts[1], kind))
	}
	x.c.meta.repos[x.parts[1]] = obj{"type": kind, "settings": x.body["settings"]}
	return ok(obj{"acknowledged": true})
}

func (x *call) deleteRepo() answer {
	if x.c.meta.repos[x.parts[1]] == nil {
		return x.noRepo(x.parts[1])
	}
	delete(x.c.meta.repos, x.parts[1])
	return ok(obj{"acknowledged": true})
}

func (x *call) verifyRepo() answer {
	if x.c.meta.repos[x.parts[1]] == nil {
		return x.noRepo(x.parts[1])
	}
	nodes := obj{}
	for _, n := range x.c.members {
		nodes[n.id] = obj{"name": n.name}
	}
	return ok(obj{"nodes": nodes})
}

func (x *call) putSnapshot() answer {
	repo, name := x.parts[1], x.parts[2]
	m := x.c.meta
	switch {
	case m.repos[repo] == nil:
		return x.noRepo(repo)
	case slices.ContainsFunc(m.snapshots, func(s *snapshot) bool { return s.repo == repo && s.name == name }):
		return failure(http.StatusBadRequest, "invalid_snapshot_name_exception", fmt.Sprintf("[%s:%s] Invalid snapshot name [%s], snapshot with the same name already exists", repo, name, name))
	case m.snapshotting() != nil && !x.version.atLeast(7, 7):
		return failure(http.StatusServiceUnavailable, "concurrent_snapshot_execution_exception", fmt.Sprintf("[%s:%s] a snapshot is already running", repo, name))
	}
	x.c.snapshot(repo, name, snapshotTakes)
	return ok(obj{"accepted": true})
}

func (x *call) deleteSnapshot() answer {
	before := len(x.c.meta.snapshots)
	x.c.meta.snapshots = slices.DeleteFunc(x.c.meta.snapshots, func(s *snapshot) bool { return s.repo == x.parts[1] && s.name == x.parts[2] })
	if len(x.c.meta.snapshots) == before {
		return x.noSnapshot(x.parts[1], x.parts[2])
	}
	return ok(obj{"acknowledged": true})
}

func (x *call) noSnapshot(repo, name string) answer {
	return failure(http.StatusNotFound, "snapshot_missing_exception", fmt.Sprintf("[%s:%s] is missing", repo, name))
}

func (x *call) getSnapshots() answer {
	repo, want := x.parts[1], x.parts[2]
	if x.c.meta.repos[repo] == nil && repo != "_all" && repo != "*" {
		return x.noRepo(repo)
	}
	list := []any{}
	for _, s := range x.c.meta.snapshots {
		if !matches(words(repo), s.repo) && repo != "_all" {
			continue
		}
		if want == "_current" && s.state == "IN_PROGRESS" || want == "_all" || matches(words(want), s.name) {
			list = append(list, x.snapshotDoc(s))
		}
	}
	if len(list) == 0 && want != "_all" && want != "_current" && want != "*" {
		return x.noSnapshot(repo, want)
	}
	o := obj{"snapshots": list}
	if x.version.atLeast(7, 14) {
		o["total"], o["remaining"] = len(list), 0
	}
	return ok(o)
}

func (x *call) oneSnapshot(repo, name string) answer {
	for _, s := range x.c.meta.snapshots {
		if s.repo == repo && s.name == name {
			return ok(obj{"snapshot": x.snapshotDoc(s)})
		}
	}
	return x.noSnapshot(repo, name)
}

func (x *call) snapshotDoc(s *snapshot) obj {
	stamp := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
	o := obj{"snapshot": s.name, "uuid": s.uuid, "version": x.version.String(), "indices": append([]string{}, s.indices...), "include_global_state": true,
		"state": s.state, "start_time": stamp(s.began), "start_time_in_millis": s.began.UnixMilli(), "failures": []any{}}
	shards := obj{"total": 0, "failed": 0, "successful": 0}
	if s.state != "IN_PROGRESS" {
		o["end_time"], o["end_time_in_millis"], o["duration_in_millis"] = stamp(s.ends), s.ends.UnixMilli(), s.ends.Sub(s.began).Milliseconds()
		shards = obj{"total": s.shards, "failed": 0, "successful": s.shards}
		if s.state != "SUCCESS" {
			shards["failed"], shards["successful"] = s.shards, 0
		}
	}
	o["shards"] = shards
	if x.version.atLeast(7, 14) {
		o["repository"], o["data_streams"], o["feature_states"] = s.repo, []any{}, []any{}
	}
	return o
}

// snapshotStatus without a name is what runs.
func (x *call) snapshotStatus() answer {
	list := []any{}
	for _, s := range x.c.meta.snapshots {
		switch len(x.parts) {
		case 4:
			if s.repo != x.parts[1] || s.name != x.parts[2] {
				continue
			}
		case 3:
			if s.repo != x.parts[1] || s.state != "IN_PROGRESS" {
				continue
			}
		default:
			if s.state != "IN_PROGRESS" {
				continue
			}
		}
		state, done := "STARTED", 0
		if s.state != "IN_PROGRESS" {
			state, done = s.state, s.shards
		}
		list = append(list, obj{"snapshot": s.name, "repository": s.repo, "uuid": s.uuid, "state": state, "include_global_state": true,
			"shards_stats": obj{"initializing": 0, "started": s.shards - done, "finalizing": 0, "done": done, "failed": 0, "total": s.shards},
			"stats":        obj{"start_time_in_millis": s.began.UnixMilli(), "time_in_millis": x.c.now.Sub(s.began).Milliseconds()}, "indices": obj{}})
	}
	return ok(obj{"snapshots": list})
}
