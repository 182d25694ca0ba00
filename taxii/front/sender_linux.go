package front

import (
	"io"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sender sends answers on a connection. What the socket has room for goes at once,
// without a deadline, which would take as long to set as a short answer to send.
type sender struct {
	tcp      *net.TCPConn
	raw      syscall.RawConn
	try      func(fd uintptr) bool // some, made once
	deadline time.Time             // for what has to wait
	room     [8][]byte             // where parts usually are

	// What is under way.
	parts  [][]byte
	file   int
	size   int64
	ofFile int64 // octets sent of it
	waits  bool
	failed error
}

func (s *sender) init(tcp *net.TCPConn) (err error) {
	s.tcp, s.try, s.parts = tcp, s.some, s.room[:0]
	s.raw, err = tcp.SyscallConn()
	return err
}

// maxParts is IOV_MAX, how many parts the system takes at a time.
const maxParts = 1024

// send sends parts, and behind them so many octets of an open file, from its begin.
func (s *sender) send(parts [][]byte, file int, size int64) error {
	s.parts, s.file, s.size, s.ofFile, s.failed = parts, file, size, 0, nil
	err := s.raw.Write(s.try)
	if s.waits {
		s.waits = false
		s.tcp.SetWriteDeadline(time.Time{})
	}
	clear(s.room[:])
	s.parts = s.room[:0]
	if err != nil {
		return err
	}
	return s.failed
}

// some sends what the socket takes. It is false if that has to take more later.
func (s *sender) some(fd uintptr) bool {
	for {
		var n int
		switch {
		case len(s.parts) > 0 && len(s.parts[0]) == 0:
			s.parts = s.parts[1:]
			continue
		case len(s.parts) > 0:
			flags := unix.MSG_NOSIGNAL
			if s.size > 0 {
				flags |= unix.MSG_MORE
			}
			n, s.failed = unix.SendmsgBuffers(int(fd), s.parts[:min(len(s.parts), maxParts)], nil, nil, flags)
			for n > 0 {
				some := min(n, len(s.parts[0]))
				if s.parts[0], n = s.parts[0][some:], n-some; n > 0 {
					s.parts = s.parts[1:]
				}
			}
		case s.ofFile < s.size:
			at := s.ofFile
			if n, s.failed = unix.Sendfile(int(fd), s.file, &at, int(s.size-at)); n == 0 && s.failed == nil {
				s.failed = io.ErrUnexpectedEOF
			}
			s.ofFile += int64(max(n, 0))
		default:
			return true
		}
		switch s.failed {
		case nil, unix.EINTR:
		case unix.EAGAIN: // until the client has taken some
			if s.failed = nil; !s.waits {
				s.waits = true
				s.tcp.SetWriteDeadline(s.deadline)
			}
			return false
		default:
			return true
		}
	}
}

// gone tells whether the client has ended the connection and left nothing to read.
func (s *sender) gone() (gone bool) {
	s.raw.Control(func(fd uintptr) {
		n, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		gone = err == nil && n == 0 || err != nil && err != unix.EAGAIN && err != unix.EINTR
	})
	return gone
}
