package intake

import (
	"context"
	"io"

	"comity/store"
	"comity/taxii"
)

// objectLimit bounds the number of objects in a push.
type objectLimit struct {
	objects  int64
	exceeded error // for one object more
}

var errManyObjects = taxii.Errorf(taxii.Unprocessed, "a push has at most %d objects; send several", maxObjects)

// objectLimit is the lowest of maxObjects and the agreement's quotas of objects. TooMany if
// the agreement's pushes of the day are used up.
func (p *push) objectLimit(ctx context.Context) (objectLimit, error) {
	quota, c := p.collection.Terms.Quota, p.collection
	if quota.PushesPerDay > 0 {
		by := c.Terms.By["pushes_per_day"]
		n, err := p.store.Pushes(ctx, by.Agreement, c.Writer, p.submission.Requested)
		if err == nil {
			err = store.CheckPushes(c, n, p.submission.Requested)
		}
		if err != nil {
			return objectLimit{}, err
		}
	}
	limit := objectLimit{maxObjects, errManyObjects}
	if n := quota.ObjectsPerPush; n > 0 && n < limit.objects {
		limit = objectLimit{n, taxii.Errorf(taxii.TooLarge, "%s: more than %d objects in one push", c.Cite("objects_per_push"), n)}
	}
	if quota.ObjectsHeld > 0 {
		free := quota.ObjectsHeld
		for _, id := range c.Held {
			n, err := p.store.Count(ctx, id)
			if err != nil {
				return objectLimit{}, err
			}
			free -= n
		}
		if free < limit.objects {
			limit = objectLimit{max(free, 0), store.CheckHeld(c, quota.ObjectsHeld+1)}
		}
	}
	return limit, nil
}

// limited is the body with the agreement's bound on the bytes of a push.
func (p *push) limited(body io.Reader) io.Reader {
	n := p.collection.Terms.Quota.BytesPerPush
	if n == 0 {
		return body
	}
	return &Limited{R: body, Left: n, TooLarge: taxii.Errorf(taxii.TooLarge,
		"%s: a push has at most %d bytes", p.collection.Cite("bytes_per_push"), n)}
}

// Limited reads at most Left bytes of R, then fails with TooLarge.
type Limited struct {
	R        io.Reader
	Left     int64
	TooLarge error
}

func (l *Limited) Read(b []byte) (int, error) {
	if int64(len(b)) > l.Left+1 {
		b = b[:l.Left+1]
	}
	n, err := l.R.Read(b)
	if l.Left -= int64(n); l.Left < 0 {
		return 0, l.TooLarge
	}
	return n, err
}
