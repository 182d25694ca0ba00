package main

import (
	"errors"
	"net"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// activate returns the listener that systemd passes by socket activation, and sets --listen
// to its address. Without socket activation it returns nil.
func (c *serveCmd) activate() (net.Listener, error) {
	passed, err := activation.Listeners()
	if err != nil || len(passed) == 0 {
		return nil, err
	}
	if c.Listen != "" {
		return nil, errors.New("--listen has no effect beside a socket of systemd: name the address in one place, --listen or the socket unit")
	}
	if len(passed) > 1 || passed[0] == nil || passed[0].Addr().Network() != "tcp" {
		return nil, errors.New("systemd has to pass one TCP socket: give the socket unit one ListenStream with an address and a port")
	}
	c.Listen = passed[0].Addr().String()
	return passed[0], nil
}

// notify tells systemd the state of the service, if it asks for it.
func (ex *exchangeServer) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		ex.log.Warn("systemd cannot be told the state of the service", "err", err)
	}
}
