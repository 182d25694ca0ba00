package bolt

import (
	"bytes"
	"errors"
	"io"
	"os"

	"comity/taxii"
)

// journalName ends the name of the file in which versions up to layout 5 kept, until
// they closed the store, what the store's own file did not hold yet.
const journalName = ".journal"

// dropJournal removes an empty journal beside the file at path. One that may hold
// commits is Conflict: those versions alone can bring them into the file, and do so
// whenever they open it. A journal without commits is empty, or begins with zeros.
func dropJournal(path string) error {
	f, err := os.Open(path + journalName)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	magic := make([]byte, 8)
	n, err := io.ReadFull(f, magic)
	if err := errors.Join(f.Close()); err != nil {
		return err
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if !bytes.Equal(magic[:n], make([]byte, n)) {
		return taxii.Errorf(taxii.Conflict, "the last pushes to %s are still in %s, where the comity that was used so far left them: run \"comity check\" of that version on the folder once, then open it with this one", path, path+journalName)
	}
	return os.Remove(path + journalName)
}
