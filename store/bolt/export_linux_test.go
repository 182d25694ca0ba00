package bolt

import (
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
)

// Ahead is how many leaves of the only collection are looked at before a walk of limit
// records from that time, and how many the walk is then in.
func (s *Store) Ahead(from time.Time, limit int) (looked, walked int, err error) {
	err = s.db.View(func(tx *bbolt.Tx) error {
		return eachCollection(tx, func(_ uuid.UUID, root *bbolt.Bucket) error {
			live := root.Bucket(bucketLive)
			a := ahead{}
			a.begin(tx, live, dateOf(from), limit, uint64(live.Stats().KeyN))
			looked = a.known
			at, err := newStream(live, dateOf(from))
			for n := 0; n < limit && err == nil && at.date != never; n++ {
				was := a.leaf
				if a.walk(at.value, 0); a.leaf != was {
					walked++
				}
				err = at.next()
			}
			return err
		})
	})
	return looked, walked, err
}
