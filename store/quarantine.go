package store

import (
	"encoding/json"
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
