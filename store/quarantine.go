package store

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
)

// note describes an object in quarantine.
type note struct {
	Time       time.Time `json:"time"`
	Account    string    `json:"account,omitempty"`
	Collection uuid.UUID `json:"collection"`
	ID         string    `json:"id"`
	Version    string    `json:"version"`
	Message    string    `json:"message"`
	By         string    `json:"by,omitempty"`
}

// Note returns everything but the number and the object, as JSON.
func (q *Quarantined) Note() ([]byte, error) {
	return json.Marshal(note{q.Time, q.Account, q.Collection, q.ID, q.Version, q.Message, q.By})
}

// ReadQuarantined is the inverse of Note.
func ReadQuarantined(number uint64, text, object []byte) (q Quarantined, err error) {
	var n note
	err = json.Unmarshal(text, &n)
	return Quarantined{
		Number: number, Time: n.Time, Account: n.Account, Collection: n.Collection,
		Refusal: Refusal{ID: n.ID, Version: n.Version, Message: n.Message, By: n.By, Quarantine: true}, Object: object,
	}, err
}

// QuarantineItems calls put with the refused items of a part whose refusal says so, and returns
// the items. Where there is no room, it returns another refusal. used returns the room that
// the collection has used; it is called before the first put.
func QuarantineItems(part Part, now time.Time, used func() (*QuarantineRoom, error), put func(*Quarantined) error) ([]Item, error) {
	items := part.Items
	var room *QuarantineRoom
	for i := range items {
		refused, object := items[i].Refused, items[i].Object.Raw
		if refused == nil || !refused.Quarantine {
			continue
		}
		if room == nil {
			var err error
			if room, err = used(); err != nil {
				return nil, err
			}
			items = slices.Clone(items)
		}
		if !room.Take(len(object)) {
			items[i].Refused = refused.NotKept()
			continue
		}
		if err := put(&Quarantined{Time: now, Account: part.Submission.Account, Collection: part.Submission.Collection, Refusal: *refused, Object: object}); err != nil {
			return nil, err
		}
	}
	return items, nil
}
