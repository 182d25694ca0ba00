package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// versions is a document of the store: the last versions of a listing. Every process gives the
// same entries the same version, now and after a restart, and a version never goes back. It has
// no value of an entry.
type versions struct {
	Given  []int64       `json:"given"`            // in µs since 1970, the newest last
	Mark   string        `json:"mark"`             // identifies the entries of the newest one
	Closed int64         `json:"closed,omitempty"` // Unix second in which no further version is given, since a zone has it as its serial
	Expire time.Duration `json:"expire,omitempty"` // of a zone of the newest one
	Days   []DayChanges  `json:"days,omitempty"`   // the last ones with changes, the newest last
}

// DayChanges is how many entries of a feed came and went on a day (UTC). An entry counts on the
// day on which an answer first has it, or first lacks it. Entries are not counted whose data was
// withdrawn, nor those that changed while no server had the entries before.
type DayChanges struct {
	Day     time.Time `json:"day"`
	Added   int       `json:"added"`
	Removed int       `json:"removed"`
}

// keptDays is the number of days whose changes are kept and shown.
const keptDays = 7

// countChanges counts changes on the day of a time.
func countChanges(days []DayChanges, at time.Time, changes []entryChange) []DayChanges {
	one := DayChanges{Day: at.UTC().Truncate(24 * time.Hour)}
	for _, c := range netChanges(slices.Values(changes)) {
		switch {
		case c.before == nil && c.after != nil:
			one.Added++
		case c.before != nil && c.after == nil:
			one.Removed++
		}
	}
	days = slices.Clone(days)
	if n := len(days); n > 0 && !days[n-1].Day.Before(one.Day) { // a clock may have been set back
		days[n-1].Added += one.Added
		days[n-1].Removed += one.Removed
	} else if one.Added+one.Removed > 0 {
		days = append(days, one)
	}
	return days[max(len(days)-keptDays, 0):]
}

// lastDays are the last days whose changes are kept, today first. Of the families, which may list
// different entries, the one counts of which most entries changed.
func (s *Service) lastDays(ctx context.Context, feed string) ([]DayChanges, error) {
	list := make([]DayChanges, keptDays)
	today := s.now().UTC().Truncate(24 * time.Hour)
	for i := range list {
		list[i].Day = today.AddDate(0, 0, -i)
	}
	for _, family := range families {
		content, err := s.store.Document(ctx, versionsDocument(listingKey{feed, family}))
		if err != nil {
			return nil, err
		}
		stored, err := decode[versions](content)
		if err != nil {
			return nil, err
		}
		for _, d := range stored.Days {
			i := slices.IndexFunc(list, func(one DayChanges) bool { return one.Day.Equal(d.Day) })
			if i >= 0 && d.Added+d.Removed > list[i].Added+list[i].Removed {
				list[i] = d
			}
		}
	}
	return list, nil
}

// maxGiven is the number of versions that are kept in the store. They tell a process whether it
// knows the entries of each version of the last moments.
const maxGiven = 16

// newest is the newest version; the zero time if there is none.
func (v *versions) newest() time.Time {
	if len(v.Given) == 0 {
		return time.Time{}
	}
	return timeOf(v.Given[len(v.Given)-1])
}

// versionsDocument is the name of the document of a listing.
func versionsDocument(key listingKey) string {
	return "feed versions " + key.feed + " " + string(key.family)
}

// ForgetVersions forgets the versions of all feeds, so that the next ones are later than all that
// were ever given. A store that was restored needs it: it does not know the last ones.
func ForgetVersions(ctx context.Context, s store.Store) error {
	d, _, err := s.Directory(ctx)
	if err != nil {
		return err
	}
	for key := range d.Feeds {
		if err := forgetVersions(ctx, s, key); err != nil {
			return err
		}
	}
	return nil
}

func forgetVersions(ctx context.Context, s store.Documents, key string) error {
	for _, family := range families {
		if err := removeDocument(ctx, s, versionsDocument(listingKey{key, family})); err != nil {
			return err
		}
	}
	return nil
}

// decode reads the content of a document of the store, which is JSON; nil gives the zero value.
func decode[T any](content []byte) (value T, err error) {
	if content != nil {
		err = json.Unmarshal(content, &value)
	}
	return value, err
}

func removeDocument(ctx context.Context, s store.Documents, name string) error {
	return s.AmendDocument(ctx, name, func([]byte) ([]byte, []audit.Entry, error) { return nil, nil, nil })
}

// errMoved says that another answer has written the document meanwhile.
var errMoved = errors.New("the document of the feed has just changed")

// read reads the document of the versions of the listing.
func (l *listing) read(document []byte) error {
	if bytes.Equal(document, l.document) {
		return nil
	}
	stored, err := decode[versions](document)
	if err != nil {
		return fmt.Errorf("read the versions of a feed: %w", err)
	}
	l.stored, l.document, l.settled = stored, document, false
	return nil
}

// settle gives what the listing has the version that the store has for it, or a new one. The
// document was read before the listing was brought up to date: errMoved tells that it is another
// one by now, and the answer has to be made anew.
func (s *Service) settle(ctx context.Context, key listingKey, f *exchange.Feed, l *listing, now time.Time) error {
	if l.settled {
		return nil
	}
	newest := l.stored.newest()
	if l.document != nil && newest.Before(l.version) {
		return errMoved
	}
	secret, _ := s.secret("versions", f, 0) // so that a copy of the store does not help to guess entries
	mark := keyed(secret, l.tag)
	if mark == l.stored.Mark && l.expire == l.stored.Expire {
		l.advance(l.stored.Given, now)
		return nil
	}
	at := taxii.Latest(newest, l.version).Add(time.Microsecond)
	if published := now.Truncate(time.Second).Add(-time.Microsecond); mark == l.stored.Mark && published.Unix() > at.Unix() {
		at = published // only the expiry of the zone is another one, which is to be in it at once
	} else {
		at = taxii.Latest(at, now, time.Unix(l.stored.Closed+1, 0))
	}
	next := l.stored
	next.Given, next.Mark, next.Expire = append(slices.Clone(next.Given), at.UnixMicro()), mark, l.expire
	if !l.unknown && l.version.Equal(newest) {
		next.Days = countChanges(next.Days, at, l.pending)
	}
	next.Given = next.Given[max(len(next.Given)-maxGiven, 0):]
	if err := s.putVersions(ctx, key, l, next); err != nil {
		return err
	}
	l.advance(next.Given, now)
	return nil
}

// putVersions puts the document in the place of the one that the listing has read. It is errMoved
// if that is another one by now.
func (s *Service) putVersions(ctx context.Context, key listingKey, l *listing, next versions) error {
	document, err := json.Marshal(next)
	if err != nil {
		return err
	}
	err = s.amend(ctx, key.feed, versionsDocument(key), func(old []byte) ([]byte, error) {
		if !bytes.Equal(old, l.document) {
			return nil, errMoved
		}
		return document, nil
	})
	if err == nil {
		l.stored, l.document = next, document
	}
	return err
}

// publish closes the second of the version, once it is over, for the zone to have it as its serial.
// The clocks of servers differ: for one that is behind, the second is over a second after it has
// seen the version.
func (s *Service) publish(ctx context.Context, key listingKey, l *listing, now time.Time) error {
	next := l.stored
	if next.Closed = l.version.Unix(); next.Closed <= l.stored.Closed || now.Unix() <= next.Closed && now.Sub(l.seen) < time.Second {
		return nil
	}
	return s.putVersions(ctx, key, l, next)
}
