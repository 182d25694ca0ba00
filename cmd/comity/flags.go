package main

import (
	"fmt"
	"net"
	"regexp"
	"strconv"
)

// byteSize is a number of bytes on the command line: 10485760, 10MB or 10MiB.
type byteSize int64

var byteSizeForm = regexp.MustCompile(`^([0-9]{1,12})(?:([kKMG])(i?)B)?$`)

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *byteSize) UnmarshalText(b []byte) error {
	parts := byteSizeForm.FindStringSubmatch(string(b))
	if parts == nil {
		return fmt.Errorf("%q is no size: write a number of bytes, or one such as 10MB or 10MiB", b)
	}
	n, _ := strconv.ParseInt(parts[1], 10, 64)
	step := int64(1000)
	if parts[3] == "i" {
		step = 1024
	}
	for range map[string]int{"": 0, "k": 1, "K": 1, "M": 2, "G": 3}[parts[2]] {
		n *= step
	}
	*s = byteSize(n)
	return nil
}

// Validate refuses a malformed address to listen on, and says how to write one.
func (c *serveCmd) Validate() error {
	for _, flag := range []struct{ name, address string }{
		{"--listen", c.Listen}, {"--admin-listen", c.AdminListen}, {"--dns-listen", c.DNSListen}, {"--dns-tls-listen", c.DNSTLSListen},
	} {
		if flag.address == "" {
			continue
		}
		if _, port, err := net.SplitHostPort(flag.address); err != nil || port == "" {
			return fmt.Errorf("%s %s: write host and port, such as 127.0.0.1:8080", flag.name, flag.address)
		}
	}
	return nil
}
