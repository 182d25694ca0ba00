package custody

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/time/rate"

	"comity/taxii"
)

// The rate of deletions that one collection takes. Each makes audit entries and
// notices, and the pollers of the collection wait while it commits.
const (
	deletesPerSecond = 10
	deleteBurst      = 100
)

// deletions limits the deletions in each collection. The zero value is ready.
type deletions struct {
	mu           sync.Mutex // guards byCollection
	byCollection map[uuid.UUID]*deletionLimit
}

type deletionLimit struct {
	rate *rate.Limiter
	slot chan struct{} // holds a token while one is under way
}

// begin waits until the deletion before has ended. The caller calls end when its own
// has. TooMany if there were too many of late.
func (d *deletions) begin(ctx context.Context, collection uuid.UUID, now time.Time) (end func(), err error) {
	limit := d.of(collection)
	if !limit.rate.AllowN(now, 1) {
		return nil, &taxii.Error{Code: taxii.TooMany, Msg: "too many deletions in a short time", RetryAfter: time.Second}
	}
	select {
	case limit.slot <- struct{}{}:
		return func() { <-limit.slot }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (d *deletions) of(collection uuid.UUID) *deletionLimit {
	d.mu.Lock()
	defer d.mu.Unlock()
	limit := d.byCollection[collection]
	if limit == nil {
		limit = &deletionLimit{rate.NewLimiter(deletesPerSecond, deleteBurst), make(chan struct{}, 1)}
		if d.byCollection == nil {
			d.byCollection = map[uuid.UUID]*deletionLimit{}
		}
		d.byCollection[collection] = limit
	}
	return limit
}
