package intake

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"syscall"
	"time"

	"comity/stix"
	"comity/store"
	"comity/taxii"
)

// spoolMemory bounds the part of a push that is kept in memory, in bytes. A longer push
// goes to a file. entryOverhead is about the memory of an entry beside its text, in
// bytes.
const (
	spoolMemory   = 4 << 20
	entryOverhead = 400
)

// spool keeps the objects and refusals of a push until all are decided: those of a short
// push in memory, those of a longer one in a file, as frames:
//
//	kind 1 | length uvarint | object as compact JSON, or store.Refusal as JSON,
//	                          or a warning about the object in the next frame;
//	                          a quarantined object follows its refusal
type spool struct {
	dir    string
	n      int         // number of entries
	bytes  int         // size of all entries
	memory [][]spooled // entries, until there is a file
	texts  textArena   // their objects
	file   *os.File
	writer *bufio.Writer
}

// spooled is one entry: an object with its warning, or a refusal.
type spooled struct {
	object  stix.Object // of a refusal: the quarantined object, else one without Raw
	warning string
	refused *store.Refusal
}

// size is the length of the entry's texts in bytes.
func (e *spooled) size() int {
	n := len(e.object.Raw) + len(e.warning)
	if r := e.refused; r != nil {
		n += len(r.ID) + len(r.Version) + len(r.Message)
	}
	return n
}

const (
	objectFrame  = 'o'
	refusalFrame = 'r'
	warningFrame = 'w'
)

// add adds an entry, and copies the text of its object.
func (s *spool) add(e *spooled) error {
	s.n++
	s.bytes += e.size()
	if s.file == nil {
		if s.n*entryOverhead+s.bytes <= spoolMemory {
			s.addInMemory(e)
			return nil
		}
		if err := s.spill(); err != nil {
			return spoolError(err)
		}
	}
	if err := s.write(e); err != nil {
		return spoolError(err)
	}
	return nil
}

// spoolError is Unavailable if the disk is full.
func spoolError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return &taxii.Error{Code: taxii.Unavailable, Msg: "the disk of the server is full", Err: err, RetryAfter: time.Minute}
	}
	return fmt.Errorf("spool: %w", err)
}

// addInMemory adds an entry to the last block in memory, or to a new one if that is full,
// so that entries never move.
func (s *spool) addInMemory(e *spooled) {
	last := len(s.memory) - 1
	if last < 0 || len(s.memory[last]) == cap(s.memory[last]) {
		s.memory = append(s.memory, make([]spooled, 0, min(s.n, 256)))
		last++
	}
	s.memory[last] = append(s.memory[last], *e)
	added := &s.memory[last][len(s.memory[last])-1]
	added.object.Raw = s.texts.clone(e.object.Raw)
}

// textArena makes many copies of texts with one allocation.
type textArena struct{ block []byte }

// clone is a copy of text; nil for nil.
func (t *textArena) clone(text []byte) []byte {
	if text == nil {
		return nil
	}
	b := t.make(len(text))
	copy(b, text)
	return b
}

// make gives n bytes.
func (t *textArena) make(n int) []byte {
	if n > cap(t.block)-len(t.block) {
		t.block = make([]byte, 0, max(n, min(2*cap(t.block), 64<<10)))
	}
	from := len(t.block)
	t.block = t.block[:from+n]
	return t.block[from : from+n : from+n]
}

// write writes an entry to the file.
func (s *spool) write(e *spooled) (err error) {
	if e.warning != "" {
		err = s.writeFrame(warningFrame, []byte(e.warning))
	}
	if e.refused != nil && err == nil {
		var refusal []byte
		if refusal, err = json.Marshal(e.refused); err == nil {
			err = s.writeFrame(refusalFrame, refusal)
		}
	}
	if e.object.Raw != nil && err == nil {
		err = s.writeFrame(objectFrame, e.object.Raw)
	}
	return err
}

func (s *spool) writeFrame(kind byte, payload []byte) error {
	head := binary.AppendUvarint(append(s.writer.AvailableBuffer(), kind), uint64(len(payload)))
	if _, err := s.writer.Write(head); err != nil {
		return err
	}
	_, err := s.writer.Write(payload)
	return err
}

// spill moves the entries in memory to a file. It removes the name of the file at once, so
// that even a kill leaves no file behind.
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
	for _, block := range s.memory {
		for i := range block {
			if err := s.write(&block[i]); err != nil {
				return err
			}
		}
	}
	s.memory, s.texts = nil, textArena{}
	return nil
}

// entries gives the entries in the order they were added. It may be ranged over more than
// once; it ends with the first error.
func (s *spool) entries() iter.Seq2[*spooled, error] {
	return func(yield func(*spooled, error) bool) {
		if s.file == nil {
			for _, block := range s.memory {
				for i := range block {
					if !yield(&block[i], nil) {
						return
					}
				}
			}
			return
		}
		in, err := s.reader()
		var texts textArena
		for err == nil {
			var e spooled
			if e, err = readEntry(in, &texts); err == nil && !yield(&e, nil) {
				return
			}
		}
		if err != io.EOF {
			yield(nil, spoolError(err))
		}
	}
}

// reader reads the file from its first frame.
func (s *spool) reader() (*bufio.Reader, error) {
	if err := s.writer.Flush(); err != nil {
		return nil, err
	}
	_, err := s.file.Seek(0, io.SeekStart)
	return bufio.NewReaderSize(s.file, 64<<10), err
}

// readEntry reads the frames of one entry; io.EOF after the last entry.
func readEntry(in *bufio.Reader, texts *textArena) (e spooled, err error) {
	for {
		kind, err := in.ReadByte()
		if err != nil {
			return e, err
		}
		n, err := binary.ReadUvarint(in)
		if err != nil {
			return e, io.ErrUnexpectedEOF
		}
		payload := texts.make(int(n))
		if _, err := io.ReadFull(in, payload); err != nil {
			return e, io.ErrUnexpectedEOF
		}
		switch kind {
		case warningFrame:
			e.warning = string(payload)
		case refusalFrame:
			e.refused = new(store.Refusal)
			if err := json.Unmarshal(payload, e.refused); err != nil || !e.refused.Quarantine {
				return e, err
			}
		default:
			e.object, err = stix.NewObject(payload)
			return e, err
		}
	}
}

func (s *spool) close() {
	if s.file != nil {
		s.file.Close()
	}
}
