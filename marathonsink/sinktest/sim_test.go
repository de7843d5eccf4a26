package sinktest

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/esfleet/esfleet/marathonsink/marathon"
)

// The Marathons of the lab, one of each generation.
var suiteVersions = []marathon.Version{version(1, 11, 24), version(1, 8, 222), version(1, 7, 236), version(1, 5, 15)}

// generation is how the lab calls a version: 1.11.
func generation(v marathon.Version) string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

var (
	table     report
	onlyCases = flag.String("case", "", "run only the cases whose name matches this expression")
)

func TestMain(m *testing.M) {
	flag.Parse()
	for _, v := range suiteVersions { // simulator beside real
		table.column("sim " + generation(v))
		table.column("real " + generation(v))
	}
	code := m.Run()
	if err := table.write(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func TestTheSimulatorPasses(t *testing.T) {
	for _, v := range suiteVersions {
		t.Run(generation(v), func(t *testing.T) { inSimulator(t, v, table.column("sim "+generation(v))) })
	}
}

func TestEveryCaseHasANameOfItsOwnAndASource(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range allCases() {
		if seen[k.name] || k.name == "" || k.run == nil {
			t.Errorf("%q", k.name)
		}
		seen[k.name] = true
		if !strings.Contains(k.source, "marathon") {
			t.Errorf("%q has source %q, which names no page", k.name, k.source)
		}
	}
	if len(seen) < 120 {
		t.Errorf("%d cases", len(seen))
	}
}

func TestEveryCaseIsRunOnEachRealMarathonItIsAbout(t *testing.T) {
	for _, v := range suiteVersions {
		runs := 0
		for _, list := range selected(v, everyCase) {
			runs += len(list)
		}
		fit := 0
		for _, k := range allCases() {
			if k.fits(v) && chosen(k) {
				fit++
			}
		}
		if runs != fit {
			t.Errorf("%s: %d of %d cases are run on the real one", generation(v), runs, fit)
		}
	}
	for _, k := range allCases() {
		if !slices.ContainsFunc(suiteVersions, k.fits) {
			t.Errorf("%q is about no Marathon that can be had", k.name)
		}
	}
}
