//go:build !linux

package front

import (
	"errors"
	"net"
	"time"
)

// sender sends answers on a connection.
type sender struct {
	tcp      *net.TCPConn
	deadline time.Time
	parts    [][]byte
	ofFile   int64
}

func (s *sender) init(tcp *net.TCPConn) error {
	s.tcp = tcp
	return nil
}

// send sends parts. It has no way to send a file.
func (s *sender) send(parts [][]byte, _ int, size int64) error {
	if size > 0 {
		return errors.ErrUnsupported
	}
	s.tcp.SetWriteDeadline(s.deadline)
	defer s.tcp.SetWriteDeadline(time.Time{})
	buffers := net.Buffers(parts)
	_, err := buffers.WriteTo(s.tcp)
	return err
}

// gone is not found out here.
func (s *sender) gone() bool { return false }
