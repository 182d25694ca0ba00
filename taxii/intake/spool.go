package intake

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"comity/store"
)

// spoolMemory is how much of a push is kept in memory. What is longer goes to
// a file.
const spoolMemory = 4 << 20

// spool keeps a push between its two readings, as frames:
//
//	kind 1 | length uvarint | object as compact JSON, or store.Refusal as JSON
type spool struct {
	dir    string
	buf    bytes.Buffer
	file   *os.File // nil while everything fits in buf
	writer *bufio.Writer
}

const (
	objectFrame  = 'o'
	refusalFrame = 'r'
)

func (s *spool) object(raw []byte) error { return s.frame(objectFrame, raw) }

func (s *spool) refusal(r *store.Refusal) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return s.frame(refusalFrame, b)
}

func (s *spool) frame(kind byte, payload []byte) error {
	head := binary.AppendUvarint([]byte{kind}, uint64(len(payload)))
	if s.file == nil && s.buf.Len()+len(head)+len(payload) > spoolMemory {
		if err := s.spill(); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
	}
	if s.file == nil {
		s.buf.Write(head)
		s.buf.Write(payload)
		return nil
	}
	if _, err := s.writer.Write(head); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if _, err := s.writer.Write(payload); err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	return nil
}

// spill moves what is in memory to a file that has no name any more, so that
// even a kill leaves nothing behind.
func (s *spool) spill() error {
	f, err := os.CreateTemp(s.dir, "push-*.spool")
	if err != nil {
		return err
	}
	s.file = f
	s.writer = bufio.NewWriterSize(f, 64<<10)
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	_, err = s.buf.WriteTo(s.writer)
	s.buf = bytes.Buffer{}
	return err
}

// replay calls yield with every frame: the bytes of an object, which stay
// valid, or a refusal.
func (s *spool) replay(yield func(raw []byte, refused *store.Refusal) error) error {
	var in *bufio.Reader
	if s.file == nil {
		in = bufio.NewReader(&s.buf)
	} else {
		if err := s.writer.Flush(); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		in = bufio.NewReaderSize(s.file, 256<<10)
	}
	for {
		kind, err := in.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		n, err := binary.ReadUvarint(in)
		if err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		payload := make([]byte, n)
		if _, err := io.ReadFull(in, payload); err != nil {
			return fmt.Errorf("spool: %w", err)
		}
		var refused *store.Refusal
		if kind == refusalFrame {
			refused = new(store.Refusal)
			if err := json.Unmarshal(payload, refused); err != nil {
				return fmt.Errorf("spool: %w", err)
			}
		}
		if err := yield(payload, refused); err != nil {
			return err
		}
	}
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
	}
}
