package server

import (
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// pageFile is a body in a file that has no name: the system sends it without copying
// it, as a server of files would, and takes its memory back where it lacks some. A
// file of a disk, since those lie in larger pieces than files that have none under
// them. It does not change, for what was sent may wait in a socket unread.
type pageFile struct {
	fd    int
	size  int64
	users atomic.Int32 // who made it, and those that send it; closed at 0
}

// newPageFile is nil where there is no room for one more, or dir has no such files.
func newPageFile(dir string, body []byte) *pageFile {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil
	}
	for rest := body; len(rest) > 0; {
		n, err := unix.Write(fd, rest)
		if err != nil {
			unix.Close(fd)
			return nil
		}
		rest = rest[n:]
	}
	f := &pageFile{fd: fd, size: int64(len(body))}
	f.users.Store(1)
	return f
}

// use is for one more user; whoever calls it knows that there is one.
func (f *pageFile) use() {
	if f != nil {
		f.users.Add(1)
	}
}

// release ends what use or newPageFile began.
func (f *pageFile) release() {
	if f != nil && f.users.Add(-1) == 0 {
		unix.Close(f.fd)
	}
}

// appendTo reads all of it.
func (f *pageFile) appendTo(b []byte) ([]byte, error) {
	at := len(b)
	b = append(b, make([]byte, f.size)...)
	for from := int64(0); from < f.size; {
		n, err := unix.Pread(f.fd, b[at+int(from):], from)
		if err != nil || n == 0 {
			return b, io.ErrUnexpectedEOF
		}
		from += int64(n)
	}
	return b, nil
}

// Read is there for the compiler: net/http hands the file on to conn.ReadFrom.
func (f *pageFile) Read([]byte) (int, error) { return 0, os.ErrInvalid }

// send writes what is held of the head, and the file behind it.
func (c *conn) send(f *pageFile) (sent int64, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	head := c.take()
	var rest []byte
	if head != nil {
		defer heads.Put(head)
		rest = head.room[:head.n]
	}
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		for {
			var n int
			switch {
			case len(rest) > 0:
				n, failed = unix.SendmsgN(int(fd), rest, nil, nil, unix.MSG_MORE|unix.MSG_NOSIGNAL)
				rest = rest[max(n, 0):]
			case sent < f.size:
				at := sent
				if n, failed = unix.Sendfile(int(fd), f.fd, &at, int(f.size-sent)); n == 0 && failed == nil {
					failed = io.ErrUnexpectedEOF
				}
				sent += int64(max(n, 0))
			default:
				return true
			}
			switch failed {
			case nil, unix.EINTR:
			case unix.EAGAIN: // until the client has taken some
				failed = nil
				return false
			default:
				return true
			}
		}
	})
	if err == nil {
		err = failed
	}
	return sent, err
}
