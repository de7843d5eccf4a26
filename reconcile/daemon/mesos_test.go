package daemon

import (
	"strings"
	"testing"
)

func TestMesosAddressesAndTheirPasswordAreChecked(t *testing.T) {
	for _, c := range []struct{ mesos, credential, says string }{
		{"", "", ""},
		{"http://m1:5050, http://m2:5050", "env:MESOS", ""},
		{"m1:5050", "", "mesos is not an address"},
		{"http://u:secret@m1:5050", "", "mesosCredential"},
		{"", "env:MESOS", "there are none"},
		{"http://m1:5050", "u:secret", "not hold it"},
	} {
		conf := Defaults()
		conf.Fleet, conf.Mesos, conf.MesosCredential = "https://gitlab.example/fleet.git", c.mesos, c.credential
		err := conf.Check()
		if (err == nil) != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "secret@")) {
			t.Errorf("mesos %q, credential %q: %v; want …%s…", c.mesos, c.credential, err, c.says)
		}
	}
	if got := (Config{Mesos: "http://m1:5050, http://m2:5050"}).mesos(); len(got) != 2 || got[1] != "http://m2:5050" {
		t.Errorf("%q", got)
	}
}
