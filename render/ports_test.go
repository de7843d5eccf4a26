package render_test

import (
	"net"
	"testing"
)

// freePorts are two that nobody listens on just now.
func freePorts(t testing.TB, host string) (a, b int) {
	t.Helper()
	var ports []int
	for range 2 {
		l, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports[0], ports[1]
}
