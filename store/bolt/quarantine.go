package bolt

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
)

// quarantineValue returns a value of quarantine: the length of the note 4, the note, and
// the object as it came.
func quarantineValue(q *store.Quarantined) ([]byte, error) {
	text, err := q.Note()
	if err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(text)))
	return append(append(b, text...), q.Object...), nil
}

// splitQuarantined returns the note and the object of a value of quarantine; false if it is
// cut off.
func splitQuarantined(b []byte) (text, object []byte, ok bool) {
	if len(b) < 4 || uint64(len(b)-4) < uint64(binary.BigEndian.Uint32(b)) {
		return nil, nil, false
	}
	end := 4 + binary.BigEndian.Uint32(b)
	return b[4:end], b[end:], true
}

// parseQuarantined parses a value of quarantine into a copy.
func parseQuarantined(key, b []byte) (q store.Quarantined, err error) {
	text, object, ok := splitQuarantined(b)
	if len(key) != 8 || !ok {
		return q, store.Damaged("an entry of quarantine is cut off")
	}
	if q, err = store.ReadQuarantined(number(key), text, bytes.Clone(object)); err != nil {
		return q, store.Damaged("quarantine: %w", err)
	}
	return q, nil
}

// quarantine is store.QuarantineItems in a commit. A number is never given twice.
func (w *writeTx) quarantine(part store.Part) ([]store.Item, error) {
	quarantine := w.bucket(bucketQuarantine)
	used := func() (*store.QuarantineRoom, error) {
		return roomInQuarantine(quarantine, part.Submission.Collection), nil
	}
	return store.QuarantineItems(part, w.now, used, func(q *store.Quarantined) error {
		value, err := quarantineValue(q)
		if err != nil {
			return err
		}
		n, err := quarantine.NextSequence()
		if err != nil {
			return err
		}
		return quarantine.Put(numberKey(n), value)
	})
}

// roomInQuarantine returns the room that a collection has used. It does not parse the
// entries: JSON escapes a quotation mark in a string, so no string has the member.
func roomInQuarantine(quarantine *bbolt.Bucket, id uuid.UUID) *store.QuarantineRoom {
	room, member := new(store.QuarantineRoom), []byte(`"collection":"`+id.String()+`"`)
	cursor := quarantine.Cursor()
	for k, v := cursor.First(); k != nil; k, v = cursor.Next() {
		if text, object, ok := splitQuarantined(v); ok && bytes.Contains(text, member) {
			room.Take(len(object))
		}
	}
	return room
}

// Quarantined implements store.Store.
func (s *Store) Quarantined(ctx context.Context, after uint64, n int) (list []store.Quarantined, err error) {
	err = s.view(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(bucketQuarantine).Cursor()
		for k, v := cursor.Seek(numberKey(after + 1)); k != nil && len(list) < n; k, v = cursor.Next() {
			q, err := parseQuarantined(k, v)
			if err != nil {
				return err
			}
			list = append(list, q)
		}
		return ctx.Err()
	})
	return list, err
}

// Discard implements store.Store.
func (s *Store) Discard(ctx context.Context, n uint64, entry audit.Entry) error {
	return s.do(ctx, &job{objects: 1, run: func(w *writeTx) error {
		quarantine := w.bucket(bucketQuarantine)
		if quarantine.Get(numberKey(n)) == nil {
			return taxii.Errorf(taxii.NotFound, "there is no object %d in quarantine", n)
		}
		w.writes++
		return cmp.Or(quarantine.Delete(numberKey(n)), w.appendAudit(entry))
	}})
}
