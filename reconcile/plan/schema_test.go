package plan

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"

	invopop "github.com/invopop/jsonschema"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/esfleet/esfleet/drift"
	"github.com/esfleet/esfleet/reconcile/esgate"
	"github.com/esfleet/esfleet/spec"
)

var update = flag.Bool("update", false, "rewrite golden files")

func TestTheSchemaIsThatOfTheDocument(t *testing.T) {
	r := invopop.Reflector{Anonymous: true, Mapper: func(t reflect.Type) *invopop.Schema {
		if t == reflect.TypeFor[spec.Pos]() {
			return &invopop.Schema{Type: "string", Description: "file:line:column in the fleet repository"}
		}
		return nil
	}}
	s := r.Reflect(Document{})
	s.ID = "https://esfleet.example/schema/plan/v1"
	s.Title = "esfleet plan"
	want, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("plan.schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := Schema(); !bytes.Equal(got, want) {
		t.Error("plan.schema.json is not that of Document; run go test ./reconcile/plan -update and review the difference: it is API")
	}
}

func TestEveryKindOfPlanSatisfiesTheSchema(t *testing.T) {
	b, err := Schema()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("plan.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("plan.json")
	if err != nil {
		t.Fatal(err)
	}
	held, waits := standard().all(), standard().up(spec.Gate, spec.Discovery, spec.Master)
	waits.es = esgate.Health{Asked: true, Why: "timeout"}
	d := NewDocument("abc", []Cluster{standard().plan(), held.plan(change(spec.Data, drift.Update, "env.X")), waits.plan(), {}})
	raw, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(v); err != nil {
		t.Errorf("%v\n%s", err, raw)
	}
}
