package daemon

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// A Config is everything a run needs to know. Values come from a file, then the environment (ESFLEET_…), then flags; the
// later wins. Secrets are only ever named ("env:NAME", "file:/path"), never written here.
type Config struct {
	// Fleet is the fleet repository: an http(s) or ssh URL, or a directory.
	Fleet string `json:"fleet,omitempty"`
	// Branch is the protected branch; what is merged there is what runs.
	Branch string `json:"branch,omitempty"`
	// GitCredential names the token or key for Fleet; KnownHosts and CABundle as their names say.
	GitCredential string `json:"gitCredential,omitempty"`
	KnownHosts    string `json:"knownHosts,omitempty"`
	CABundle      string `json:"caBundle,omitempty"`
	// AllowRewriteTo is the head of a rewritten branch that a person has accepted.
	AllowRewriteTo string `json:"allowRewriteTo,omitempty"`
	// State is the folder for the mirror and the operation log.
	State string `json:"state,omitempty"`
	// Listen is the address for /healthz, /readyz, /metrics and the status API.
	Listen string `json:"listen,omitempty"`
	// Marathon, if set, is used in place of every URL that the fleet declares: for trying a fleet elsewhere.
	Marathon string `json:"marathon,omitempty"`
	// MarathonCredential names "user:password" or a bearer token for Marathon.
	MarathonCredential string `json:"marathonCredential,omitempty"`
	// Mesos are the addresses of Mesos masters, with commas, in place of the one that Marathon names; MesosCredential names
	// "user:password" for them, and goes nowhere else.
	Mesos           string `json:"mesos,omitempty"`
	MesosCredential string `json:"mesosCredential,omitempty"`
	// ElasticsearchProxy is an HTTP proxy through which the nodes are asked.
	ElasticsearchProxy string `json:"elasticsearchProxy,omitempty"`
	// Poll is how often git is asked, Resync how often Marathon is read when nothing happens.
	Poll   Duration `json:"poll,omitempty"`
	Resync Duration `json:"resync,omitempty"`
	// Parallel bounds how many clusters are changed at once.
	Parallel int `json:"parallel,omitempty"`
	// LogFormat is json or text.
	LogFormat string `json:"logFormat,omitempty"`
}

// A Duration is written as "30s" or "5m".
type Duration time.Duration

// UnmarshalJSON reads "30s".
func (d *Duration) UnmarshalJSON(b []byte) error {
	s, err := strconv.Unquote(string(b))
	if err != nil {
		return fmt.Errorf("%s is not a duration; write \"30s\" or \"5m\"", b)
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is not a duration; write \"30s\" or \"5m\"", s)
	}
	*d = Duration(v)
	return nil
}

// MarshalJSON writes "30s".
func (d Duration) MarshalJSON() ([]byte, error) {
	return []byte(strconv.Quote(time.Duration(d).String())), nil
}

// Defaults are what a Config starts from.
func Defaults() Config {
	return Config{Branch: "main", State: stateFolder(), Listen: "127.0.0.1:9180", Poll: Duration(30 * time.Second),
		Resync: Duration(5 * time.Minute), Parallel: 8, LogFormat: "json"}
}

// stateFolder is where a person's programs keep such things, else the folder one stands in.
func stateFolder() string {
	if d := os.Getenv("XDG_STATE_HOME"); d != "" {
		return filepath.Join(d, "esfleet")
	}
	if home, err := os.UserHomeDir(); err == nil {
		return filepath.Join(home, ".local", "state", "esfleet")
	}
	return "esfleet-state"
}

// Load reads the file (none if path is empty) over the defaults, then the environment over that.
func Load(path string, getenv func(string) string) (Config, error) {
	c := Defaults()
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return c, fmt.Errorf("read config: %w", err)
		}
		if err := yaml.UnmarshalStrict(b, &c); err != nil {
			return c, fmt.Errorf("config %s: %w", path, err)
		}
	}
	for _, v := range []struct {
		name string
		into *string
	}{
		{"FLEET", &c.Fleet}, {"BRANCH", &c.Branch}, {"GIT_CREDENTIAL", &c.GitCredential}, {"KNOWN_HOSTS", &c.KnownHosts},
		{"CA_BUNDLE", &c.CABundle}, {"ALLOW_REWRITE_TO", &c.AllowRewriteTo}, {"STATE", &c.State}, {"LISTEN", &c.Listen}, {"MARATHON", &c.Marathon},
		{"MARATHON_CREDENTIAL", &c.MarathonCredential}, {"MESOS", &c.Mesos}, {"MESOS_CREDENTIAL", &c.MesosCredential},
		{"ELASTICSEARCH_PROXY", &c.ElasticsearchProxy}, {"LOG_FORMAT", &c.LogFormat},
	} {
		if s := getenv("ESFLEET_" + v.name); s != "" {
			*v.into = s
		}
	}
	for _, v := range []struct {
		name string
		into *Duration
	}{{"POLL", &c.Poll}, {"RESYNC", &c.Resync}} {
		s := getenv("ESFLEET_" + v.name)
		if s == "" {
			continue
		}
		if err := v.into.UnmarshalJSON([]byte(strconv.Quote(s))); err != nil {
			return c, fmt.Errorf("environment ESFLEET_%s: %w", v.name, err)
		}
	}
	return c, nil
}

// Check says what is missing or wrong, in one error that names every fault.
func (c Config) Check() error {
	var bad []string
	if c.Fleet == "" {
		bad = append(bad, "fleet is not set: write the fleet repository's URL or a directory (--fleet, ESFLEET_FLEET or fleet: in the config file)")
	}
	for _, s := range []struct{ name, value string }{{"gitCredential", c.GitCredential}, {"marathonCredential", c.MarathonCredential}, {"mesosCredential", c.MesosCredential}} {
		if s.value != "" && !namesSecret(s.value) {
			bad = append(bad, s.name+" must name where the secret is, env:NAME or file:/path, not hold it")
		}
	}
	for _, s := range []struct{ name, value, credential string }{
		{"marathon", c.Marathon, "marathonCredential"}, {"elasticsearchProxy", c.ElasticsearchProxy, ""},
	} {
		if what := wrongAddress(s.value, s.credential); what != "" {
			bad = append(bad, s.name+" "+what)
		}
	}
	for _, address := range c.mesos() {
		if what := wrongAddress(address, "mesosCredential"); what != "" {
			bad = append(bad, "mesos "+what)
		}
	}
	if c.MesosCredential != "" && c.Mesos == "" {
		bad = append(bad, "mesosCredential goes only to the addresses in mesos, and there are none")
	}
	if c.LogFormat != "json" && c.LogFormat != "text" {
		bad = append(bad, fmt.Sprintf("logFormat %q is neither json nor text", c.LogFormat))
	}
	if c.Parallel < 1 {
		bad = append(bad, "parallel must be at least 1")
	}
	if len(bad) > 0 {
		return fmt.Errorf("configuration: %s", strings.Join(bad, "; "))
	}
	return nil
}

// mesos are the addresses of Mesos masters.
func (c Config) mesos() []string {
	return strings.FieldsFunc(c.Mesos, func(r rune) bool { return r == ',' || r == ' ' })
}

func namesSecret(ref string) bool {
	kind, where, _ := strings.Cut(ref, ":")
	return (kind == "env" || kind == "file") && where != ""
}

// wrongAddress says what is wrong with an http address, empty if nothing is. It does not repeat an address that may hold
// a secret. credential is the setting that a user and password belong into; empty: they may stand in the address.
func wrongAddress(address, credential string) string {
	if address == "" {
		return ""
	}
	u, err := url.Parse(address)
	switch {
	case err == nil && u.User != nil && credential != "":
		return "holds a user or password: take them out, and name them in " + credential
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "is not an address: write http://host:port"
	}
	return ""
}

// IsDir says that Fleet is a local directory.
func (c Config) IsDir() bool {
	if strings.Contains(c.Fleet, "://") {
		return false
	}
	info, err := os.Stat(c.Fleet)
	return err == nil && info.IsDir()
}
