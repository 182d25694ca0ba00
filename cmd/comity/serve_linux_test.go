package main

import (
	"encoding/json"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A server that fails logs the reason. Every line of its JSON log has a message.
func TestFailedServerLogsTheReason(t *testing.T) {
	data, err := os.MkdirTemp("", "comity-") // the path of a Unix socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(data) })
	t.Setenv("COMITY_DATA", data)
	comity := func(stderr io.Writer, args ...string) int { return run(t.Context(), args, nil, io.Discard, stderr) }
	if code := comity(io.Discard, "init", "--centre", "igci", "--name", "Centre", "--country", "SG"); code != 0 {
		t.Fatalf("init: exit status %d", code)
	}
	var log lockedBuffer
	ended := make(chan int)
	go func() { ended <- comity(&log, "serve", "--listen", "127.0.0.1:0", "--log-format", "json") }()
	for range 1000 {
		if _, err := os.Stat(filepath.Join(data, "admin.sock")); err == nil && strings.Contains(log.String(), "serving") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	type entry struct{ Msg, Address, Reason string }
	entries := func() (list []entry) {
		for line := range strings.Lines(log.String()) {
			var e entry
			if err := json.Unmarshal([]byte(line), &e); err != nil || e.Msg == "" {
				t.Errorf("line %q", line)
			}
			list = append(list, e)
		}
		return list
	}
	failAccept(t, entries()[0].Address)
	if code := <-ended; code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
	if list := entries(); !strings.Contains(list[len(list)-1].Reason, "accept") {
		t.Errorf("logged: %s", log.String())
	}
}

// failAccept makes the listener of this process at that address fail.
func failAccept(t *testing.T, address string) {
	for fd := range 1000 {
		listens, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
		if err != nil || listens == 0 {
			continue
		}
		name, err := syscall.Getsockname(fd)
		if at, ok := name.(*syscall.SockaddrInet4); err == nil && ok && netip.AddrPortFrom(netip.AddrFrom4(at.Addr), uint16(at.Port)).String() == address {
			if err := syscall.Shutdown(fd, syscall.SHUT_RD); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no listener at %s", address)
}
