package main

import (
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/esfleet/esfleet/marathonsink"
	"github.com/esfleet/esfleet/marathonsink/marathon"
	"github.com/esfleet/esfleet/reconcile/discovery"
)

func newDiscovery() *cobra.Command {
	o := discovery.Options{Place: discovery.Place{Bind: "*"}}
	var app, clientApps, gate, urls, credential, logFormat string
	cmd := &cobra.Command{
		Use:   "discovery --app ID --port PORT",
		Short: "Run HAProxy in front of a cluster's masters, and keep it current",
		Long: `Run HAProxy on one TCP port that leads to the masters which Marathon shows running, and keep it current: the job that
Bamboo did. It is what a cluster's discovery app runs where its image holds esfleet; it only reads Marathon.

A master that runs is added at once. One that Marathon no longer shows is removed only after a second answer of the
same leader, --proof later, and never the last one: while Marathon is away, answers half or changes its leader, the
last good configuration stays. Each configuration is checked by haproxy -c first. A reload neither refuses nor ends a
connection.

With --client-port there is a second front, by which clients reach the HTTP ports of the nodes of --client-apps. Nodes
that the label esfleet.detached of the --gate names are led to only if nobody else answers: esfleet sets it before it
stops a node. What a node is answering then goes on to its end.

--template FILE replaces the built-in configuration. It is plain HAProxy configuration with {{bind}}, {{front_port}},
{{stats_port}} and a line with {{name}} and {{address}} that is repeated for each master; for the client front
{{client_port}}, and a line with {{client_name}}, {{client_address}} and {{client_state}}. One that HAProxy does not
take is refused, told, and leaves the last good one in force.

On the statistics port: /health (HAProxy's own word), /healthz (JSON: servers, age of the last answer, what was refused).
SIGTERM ends it, after --drain for open connections.`,
		Example: `  esfleet discovery --marathon http://m1:8080,http://m2:8080 --app /search/logs/es-master --port 9310 --stats-port 9311`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if urls == "" {
				urls = os.Getenv("ESFLEET_MARATHON")
			}
			if urls == "" {
				return usage("--marathon is missing, and ESFLEET_MARATHON is not set: name Marathon's URLs")
			}
			o.App = marathon.AppID(app)
			o.Gate = marathon.AppID(gate)
			for id := range strings.SplitSeq(clientApps, ",") {
				if id = strings.TrimSpace(id); id != "" {
					o.ClientApps = append(o.ClientApps, marathon.AppID(id))
				}
			}
			if err := o.Check(); err != nil {
				return exit{exitUsage, err}
			}
			c, err := discovery.Credentials(credential)
			if err != nil {
				return exit{exitUsage, err}
			}
			o.Marathon = marathonsink.Options{URLs: strings.Split(urls, ","), Credentials: c}
			o.Log = logger(cmd.ErrOrStderr(), logFormat)
			return discovery.Run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&urls, "marathon", "", "Marathon's URLs, comma-separated (default $ESFLEET_MARATHON)")
	f.StringVar(&credential, "marathon-credential", "", "env:NAME or file:/path with user:password or a bearer token")
	f.StringVar(&app, "app", "", "id of the masters' app, like /search/logs/es-master")
	f.IntVar(&o.PortIndex, "port-index", 1, "place of the transport port among a task's ports, from 0")
	f.StringVar(&o.Place.Bind, "bind", o.Place.Bind, "address to listen on, * for all")
	f.IntVar(&o.Place.Port, "port", 0, "the ring's front port")
	f.IntVar(&o.Place.Stats, "stats-port", 0, "port of statistics and health, 0 for none")
	f.IntVar(&o.Place.Clients, "client-port", 0, "port of the front for clients, 0 for none")
	f.StringVar(&clientApps, "client-apps", "", "ids of the apps whose tasks serve clients, comma-separated")
	f.IntVar(&o.ClientPortIndex, "client-port-index", 0, "place of the HTTP port among their tasks' ports, from 0")
	f.StringVar(&gate, "gate", "", "id of the cluster's gate, like /search/logs/gate")
	f.StringVar(&o.Template, "template", "", "file that replaces the built-in HAProxy configuration")
	f.StringVar(&o.Dir, "dir", "haproxy", "folder for HAProxy's configuration and sockets")
	f.StringVar(&o.HAProxy, "haproxy", "haproxy", "HAProxy's program")
	f.DurationVar(&o.Proof, "proof", 10*time.Second, "how far apart two answers must be that prove a master gone")
	f.DurationVar(&o.Resync, "resync", 30*time.Second, "how often Marathon is read when no event comes")
	f.DurationVar(&o.Drain, "drain", 2*time.Second, "what open connections get after SIGTERM")
	f.StringVar(&logFormat, "log-format", "json", "json or text")
	return cmd
}
