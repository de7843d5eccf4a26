package drift

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// A Report is everything that differs on one or several Marathons. As text it is what `esfleet diff` prints; as JSON it
// is an interface that others read. Equal reports give equal bytes.
type Report struct {
	Clusters []*Drift     `json:"clusters"`
	Orphans  []Difference `json:"orphans"`
	// Foreign are apps under our groups' paths that are not ours; they make no difference and are only shown.
	Foreign []marathon.AppID `json:"foreign"`
}

// Empty says that nothing differs.
func (r *Report) Empty() bool {
	return len(r.Orphans) == 0 && !slices.ContainsFunc(r.Clusters, func(d *Drift) bool { return !d.Empty() })
}

// WriteText writes the report for people: + is what git adds, - what only live has, ~ what changes from live to git.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for _, d := range r.Clusters {
		d.text(&b)
	}
	if len(r.Orphans) > 0 {
		b.WriteString("not in git\n")
		for _, x := range r.Orphans {
			x.text(&b)
		}
	}
	if len(r.Foreign) > 0 {
		b.WriteString("not ours, left alone\n")
		for _, id := range r.Foreign {
			fmt.Fprintf(&b, "  %s\n", printable(string(id)))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (d *Drift) text(b *strings.Builder) {
	if d.Empty() {
		fmt.Fprintf(b, "%s: no changes\n", d.ID)
		return
	}
	fmt.Fprintf(b, "%s\n", d.ID)
	for _, x := range d.Differences {
		x.text(b)
	}
	if d.Hidden > 0 {
		fmt.Fprintf(b, "  %d default fields hidden\n", d.Hidden)
	}
}

func (x *Difference) text(b *strings.Builder) {
	fmt.Fprintf(b, "  %s  %s: %s\n", printable(string(x.App)), x.Class, printable(x.Why))
	for _, f := range x.Fields {
		fmt.Fprintf(b, "    %s\n", f)
	}
	for _, f := range x.Files {
		f.text(b)
	}
	for _, t := range x.Tasks {
		fmt.Fprintf(b, "    task %s\n", printable(string(t)))
	}
	for _, id := range x.Deployments {
		fmt.Fprintf(b, "    deployment %s\n", printable(string(id)))
	}
}

func (f *File) text(b *strings.Builder) {
	fmt.Fprintf(b, "    %s file %s", f.Kind.sign(), printable(f.Path))
	if f.Diff == "" {
		b.WriteString(" (binary)")
	}
	b.WriteByte('\n')
	for line := range strings.Lines(f.Diff) {
		fmt.Fprintf(b, "      %s\n", printable(redactText(strings.TrimSuffix(line, "\n"))))
	}
}

func (k Kind) sign() string {
	switch k {
	case Missing:
		return "+"
	case Extra:
		return "-"
	}
	return "~"
}

// String is one line for a person: ~ mem: 1024 -> 2048  (clusters/logs/cluster.yaml:12). Values that look secret are
// hidden, control characters escaped, long values cut.
func (f Field) String() string {
	var s string
	switch f.Kind {
	case Missing:
		s = f.show(f.Want)
	case Extra:
		s = f.show(f.Have)
	default:
		s = f.show(f.Have) + " -> " + f.show(f.Want)
	}
	s = fmt.Sprintf("%s %s: %s", f.Kind.sign(), printable(f.Path), s)
	var notes []string
	if f.Pos.File != "" {
		notes = append(notes, f.Pos.String())
	}
	if f.Immutable {
		notes = append(notes, "cannot be changed in place")
	}
	if len(notes) > 0 {
		s += "  (" + strings.Join(notes, "; ") + ")"
	}
	return s
}

// maxShown is how many characters of one value are shown.
const maxShown = 160

func (f Field) show(v any) string {
	v = redact(f.Path, v)
	if v == hidden {
		return hidden
	}
	s := []rune(printable(text(v)))
	if more := len(s) - maxShown; more > 0 {
		return fmt.Sprintf("%s… (%d more characters)", string(s[:maxShown]), more)
	}
	return string(s)
}

// printable escapes what a terminal would act upon: live names and contents are untrusted.
func printable(s string) string {
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unprintable(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func unprintable(r rune) bool { return r != '\t' && !unicode.IsPrint(r) }

// MarshalJSON writes the field with its place as text and without secrets.
func (f Field) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Path          string `json:"path"`
		Kind          Kind   `json:"kind"`
		Want          any    `json:"want,omitempty"`
		Have          any    `json:"have,omitempty"`
		Pos           string `json:"pos,omitempty"`
		RestartsTasks bool   `json:"restartsTasks"`
		Immutable     bool   `json:"immutable"`
	}{f.Path, f.Kind, redact(f.Path, f.Want), redact(f.Path, f.Have), f.Pos.String(), f.RestartsTasks, f.Immutable})
}

// MarshalJSON writes the file with its diff as shown to people: without secrets.
func (f File) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Path string `json:"path"`
		Kind Kind   `json:"kind"`
		Diff string `json:"diff,omitempty"`
	}{f.Path, f.Kind, redactText(f.Diff)})
}

// MarshalJSON writes the drift with the cluster's name as group/cluster.
func (d *Drift) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Cluster     string       `json:"cluster"`
		Differences []Difference `json:"differences"`
		Hidden      int          `json:"hidden"`
	}{d.ID.String(), append([]Difference{}, d.Differences...), d.Hidden})
}

// MarshalJSON writes empty lists as [], so that readers need no case for null.
func (r *Report) MarshalJSON() ([]byte, error) {
	type plain Report
	p := plain{append([]*Drift{}, r.Clusters...), append([]Difference{}, r.Orphans...), append([]marathon.AppID{}, r.Foreign...)}
	return json.Marshal(p)
}
