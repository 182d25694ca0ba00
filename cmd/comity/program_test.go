package main

import (
	"errors"
	"net"
	"testing"
)

// TestCommandsAreShownAsTheyWereStarted holds that what demo prints can be pasted
// into the shell that started it.
func TestCommandsAreShownAsTheyWereStarted(t *testing.T) {
	onPath := func(path string) func(string) (string, error) {
		return func(string) (string, error) {
			if path == "" {
				return "", errors.New("not found")
			}
			return path, nil
		}
	}
	for _, test := range []struct{ arg0, executable, found, want string }{
		{"comity", "/usr/bin/comity", "/usr/bin/comity", "comity"},
		{"/usr/bin/comity", "/usr/bin/comity", "/usr/bin/comity", "comity"},
		{"./comity", "/home/anna/comity", "", "./comity"},
		{"./comity", "/home/anna/comity", "/usr/bin/comity", "./comity"},
		{"/tmp/go-build1/b001/exe/comity", "/tmp/go-build1/b001/exe/comity", "", "go run ./cmd/comity"},
	} {
		if got := program(test.arg0, test.executable, onPath(test.found)); got != test.want {
			t.Errorf("%s started as %s: %s, want %s", test.executable, test.arg0, got, test.want)
		}
	}
}

func TestDemoTakesAnotherPortIfTheUsualOneIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:8080")
	if err == nil { // else another program has it, which is the same here
		defer l.Close()
	}
	if got := freeAddress(); got != "127.0.0.1:0" {
		t.Errorf("got %s", got)
	}
}
