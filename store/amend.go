package store

import (
	"bytes"
	"errors"

	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// ErrStale is the error of an engine that was to amend a directory or document which
// somebody else has amended since it was read.
var ErrStale = errors.New("the directory has changed")

// Amend is Directory.Amend of an engine. read returns copies of the records of the directory,
// and its generation. write writes the entries and the records that differ; if the directory
// has another generation by then, it writes nothing and returns ErrStale, and Amend begins
// anew. change is called outside of both, so it may use the store.
func Amend(
	read func() (records map[string][]byte, generation uint64, err error),
	change func(*exchange.Directory) ([]audit.Entry, error),
	write func(before, after map[string][]byte, generation uint64, entries []audit.Entry) error,
) error {
	for {
		before, generation, err := read()
		if err != nil {
			return err
		}
		d, err := ReadDirectory(before)
		if err != nil {
			return err
		}
		entries, err := change(d)
		if err != nil {
			return err
		}
		after, err := directoryRecords(d)
		if err != nil {
			return err
		}
		if err := nameChanged(entries, before, after); err != nil {
			return err
		}
		if err := write(before, after, generation, entries); err != ErrStale {
			return err
		}
	}
}

// AmendDocument is AmendDocument of an engine. write writes the entries and the content; if
// the document no longer has the old content, it writes nothing and returns ErrStale, and
// AmendDocument begins anew. change is called outside of both, so it may use the store.
func AmendDocument(
	read func() (content []byte, err error),
	change func(old []byte) ([]byte, []audit.Entry, error),
	write func(old, content []byte, entries []audit.Entry) error,
) error {
	for {
		old, err := read()
		if err != nil {
			return err
		}
		content, entries, err := change(bytes.Clone(old))
		if err != nil {
			return err
		}
		if err := write(old, content, entries); err != ErrStale {
			return err
		}
	}
}
