package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serveActivated starts comity serve as systemd does: with listeners that are open already,
// and with a socket on which it gives notice. The test kills it at its end.
func serveActivated(t *testing.T, listeners int, flags ...string) (command *exec.Cmd, notices *net.UnixConn, address string, stderr *lockedBuffer) {
	t.Helper()
	dir, err := os.MkdirTemp("", "comity-") // the path of a Unix socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, name := filepath.Join(dir, "data"), filepath.Join(dir, "notify")
	if code := run(t.Context(), []string{"--data", data, "init", "--centre", "igci", "--name", "Centre", "--country", "SG"}, nil, io.Discard, io.Discard); code != 0 {
		t.Fatalf("init: exit status %d", code)
	}
	if notices, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { notices.Close() })
	command = exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec comity "$@"`, "sh", "--data", data, "serve"}, flags...)...)
	command.Env = append(os.Environ(), fmt.Sprint("LISTEN_FDS=", listeners), "NOTIFY_SOCKET="+name)
	for range listeners {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		file, err := l.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		address = l.Addr().String()
		t.Cleanup(func() { file.Close(); l.Close() })
		command.ExtraFiles = append(command.ExtraFiles, file)
	}
	stderr = &lockedBuffer{}
	command.Stderr = stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { command.Process.Kill() })
	return command, notices, address, stderr
}

// Under systemd the server takes over the socket that was opened for it, says when it is
// ready and when it stops.
func TestServeIsAServiceOfSystemd(t *testing.T) {
	command, notices, address, stderr := serveActivated(t, 1)
	next := func(want string) {
		t.Helper()
		notice := make([]byte, 100)
		if err := notices.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		n, err := notices.Read(notice)
		if err != nil || string(notice[:n]) != want {
			t.Fatalf("notice %q, %v, want %s: %s", notice[:n], err, want, stderr)
		}
	}
	next("READY=1")
	answer, err := http.Get("http://" + address + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Error(answer.Status)
	}
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	next("STOPPING=1")
	if err := command.Wait(); err != nil {
		t.Errorf("%v: %s", err, stderr)
	}
}

// Sockets that are not one address, in one place, are refused.
func TestServeRefusesSocketsThatContradictItsFlags(t *testing.T) {
	for want, start := range map[string]func() (*exec.Cmd, *lockedBuffer){
		"name the address in one place": func() (*exec.Cmd, *lockedBuffer) {
			command, _, _, stderr := serveActivated(t, 1, "--listen", "127.0.0.1:0")
			return command, stderr
		},
		"one ListenStream": func() (*exec.Cmd, *lockedBuffer) {
			command, _, _, stderr := serveActivated(t, 2)
			return command, stderr
		},
	} {
		if command, stderr := start(); command.Wait() == nil || !strings.Contains(stderr.String(), want) {
			t.Errorf("got %q, want %q", stderr, want)
		}
	}
}
