package front

import (
	"io"
	"time"
)

// body is that of a plain request: what came behind the head, and what comes yet.
type body struct {
	conn     *conn
	left     int64     // octets not read yet
	deadline time.Time // for what comes yet, to be set if bounded
	bounded  bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (n int, err error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	c := b.conn
	p = p[:min(int64(len(p)), b.left)]
	if n = copy(p, c.got); n > 0 {
		c.got = c.got[n:]
	} else {
		if b.bounded {
			b.bounded, c.renewal = false, time.Now()
			c.tcp.SetReadDeadline(b.deadline)
		}
		if n, err = c.tcp.Read(p); err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
	}
	if b.left -= int64(n); b.left == 0 {
		return n, io.EOF
	}
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error { return nil }

// drain reads what nobody wanted. It is false if that does not come.
func (b *body) drain() bool {
	if b.left > 0 {
		io.Copy(io.Discard, b)
	}
	return b.left == 0
}
