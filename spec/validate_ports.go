package spec

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
)

// checkPorts refuses fixed ports that two parts of the cluster would fight for on one host, and addresses with impossible ones.
func (b *builder) checkPorts(root section) {
	taken := map[int]string{}
	claim := func(s section, field string, port, perHost int) {
		if port == 0 || !s.usable(field) {
			return
		}
		path := s.path + "." + field
		if other, twice := taken[port]; twice {
			b.problem(s.posOf(field), path, fmt.Sprintf("%d is the port of %s as well, and both may run on one host", port, other), "write another port, or none to let Mesos choose")
			return
		}
		taken[port] = path
		if perHost > 1 {
			b.problem(s.posOf(field), path, fmt.Sprintf("%d is a fixed port, and perHost is %d: only one of them could have it", port, perHost), "delete the port to let Mesos choose, or write perHost: 1")
		}
	}
	if d := root.sub("discovery"); b.c.Discovery.Mode != Static {
		claim(d, "port", b.c.Discovery.Port, 1)
		claim(d, "statsPort", b.c.Discovery.StatsPort, 1)
		claim(d, "clientPort", b.c.Discovery.ClientPort, 1)
	} else {
		b.checkHostPort(d, "address")
	}
	for _, comp := range nodeComponents {
		if n := b.c.Nodes[comp]; n != nil {
			ports := root.sub(string(comp)).sub("ports")
			claim(ports, "http", n.HTTPPort, n.PerHost)
			claim(ports, "transport", n.TransportPort, n.PerHost)
		}
	}
	if b.c.Kibana != nil {
		claim(root.sub("kibana"), "port", b.c.Kibana.Port, 1)
	}
	if b.c.Exporter != nil {
		b.checkHostPort(root.sub("exporter"), "graphite")
	}
}

func (b *builder) checkHostPort(s section, field string) {
	addr := s.text(field)
	if addr == "" {
		return
	}
	_, port, err := net.SplitHostPort(addr)
	if n, e := strconv.Atoi(port); err != nil || e != nil || n < 1 || n > 65535 {
		b.problem(s.posOf(field), s.path+"."+field, quote(addr)+" has no port from 1 to 65535", "write host:port")
	}
}

// checkPlugins asks for what makes a fetched archive the reviewed one.
func (b *builder) checkPlugins(root section) {
	first := map[string]Pos{}
	written := root.list("plugins")
	for i, p := range b.c.Plugins {
		path := fmt.Sprintf("plugins[%d]", i)
		if p.Name == "" {
			continue // reported with its shape
		}
		if at, twice := first[p.Name]; twice {
			b.problem(p.Pos, path, quote(p.Name)+" is written twice, first at "+at.String(), "keep one of them")
		}
		first[p.Name] = p.Pos
		n := written[i].node
		url, sum := n.child("url"), n.child("sha512")
		switch {
		case url != nil && sum == nil:
			b.problem(url.pos(p.Pos.File), path+".sha512", "is missing: without it nobody knows that nodes install what was reviewed", "write sha512: and the output of sha512sum for the archive")
		case url == nil && sum != nil:
			b.problem(sum.pos(p.Pos.File), path+".url", "is missing, and sha512 is for an archive that is fetched", "write url: https://…, or delete sha512 for one of the distribution's own plugins")
		}
		if url != nil && url.kind == stringNode && !secureURL(url.text) {
			b.problem(url.pos(p.Pos.File), path+".url", "is fetched without encryption", "write https://…")
		}
	}
}

// secureURL is true for https, and for http to the host itself.
func secureURL(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// checkOverrides wants each host named once, so that which settings hold there is beyond doubt.
func (b *builder) checkOverrides(root section) {
	first := map[string]string{}
	for i, o := range b.c.Overrides {
		path := fmt.Sprintf("overrides[%d]", i)
		for _, h := range o.Hosts {
			if other, twice := first[h]; twice {
				b.problem(o.Pos, path+".hosts", quote(h)+" is named in "+other+" as well", "name each host once, with all its settings")
			}
			first[h] = path
		}
		b.checkSettings(o.Settings, path+".settings")
	}
}
