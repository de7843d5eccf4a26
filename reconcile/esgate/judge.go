package esgate

// Judge says whether t may be done to the cluster that h shows: the first rule of the table that forbids it, or OK. It is
// a function of its arguments alone; a nil h is a cluster that was not asked.
func Judge(h *Health, t Touch) Verdict {
	if h == nil {
		h = &Health{}
	}
	for i := range table {
		r := &table[i]
		if !r.applies(t.Kind) {
			continue
		}
		if n := r.no(h, &t); n.why != "" {
			return Verdict{Rule: r.Name, Why: bounded(n.why), Hold: n.wayOut != "", WayOut: bounded(n.wayOut)}
		}
	}
	return Verdict{OK: true}
}
