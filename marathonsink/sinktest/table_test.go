package sinktest

import (
	"os"
	"testing"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// What is true of some versions only is true because it was seen: the simulator alone would agree with anything.
func TestTheTableShowsEveryCaseThatDependsOnTheVersionOnTheRealOnes(t *testing.T) {
	page, err := os.ReadFile("CONFORMANCE.md")
	if err != nil {
		t.Fatalf("%v; make conformance writes it", err)
	}
	rows := readTable(string(page))
	for _, k := range allCases() {
		if k.since == (marathon.Version{}) && k.until == (marathon.Version{}) {
			continue
		}
		for _, v := range suiteVersions {
			for _, column := range []string{"sim ", "real "} {
				if cell := rows[k.name][column+generation(v)]; k.fits(v) && cell != "ok" {
					t.Errorf("%q is %q in the column %s%s; make conformance runs it", k.name, cell, column, generation(v))
				}
			}
		}
	}
}

func TestATableKeepsTheResultsOfMarathonsThatARunLeftOut(t *testing.T) {
	name := allCases()[0].name
	earlier := &report{}
	earlier.column("real 1.8").cells[name] = "FAIL"
	earlier.column("real 1.5").cells[name] = "ok"
	now := &report{}
	now.column("real 1.8").ran = true
	now.column("real 1.8").cells[name] = "ok"
	now.column("real 1.5")
	now.keep(readTable(earlier.String()))
	for _, column := range []string{"real 1.8", "real 1.5"} {
		if cell := readTable(now.String())[name][column]; cell != "ok" {
			t.Errorf("%s: %q", column, cell)
		}
	}
}
