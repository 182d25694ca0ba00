package server

import (
	"io"
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
