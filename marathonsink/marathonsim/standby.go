package marathonsim

import "net/http"

// standbyHost is the second member's address. It never leads: at a change of the leader a third one does.
const standbyHost = "marathon-standby.sim:8080"

// Standby is the URL, for Transport, of a second member: it hands everything to the leader and says so, but from 1.6
// redirects who asks for events.
func (s *Sim) Standby() (url string, err error) { return "http://" + standbyHost, nil }

type standby struct{ sim *Sim }

func (b standby) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if parts := split(r.URL.Path); b.sim.ver.redirectsEvents && len(parts) == 2 && parts[1] == "events" {
		w.Header().Set("Location", "http://"+b.sim.leaderAddress()+r.URL.RequestURI())
		w.WriteHeader(http.StatusFound)
		return
	}
	w.Header().Set("X-Marathon-Via", "1.1 "+standbyHost)
	b.sim.ServeHTTP(w, r)
}

// member is who answers at an address that is no task's.
func (s *Sim) member(host string) http.Handler {
	if host == standbyHost {
		return standby{s}
	}
	return s
}
