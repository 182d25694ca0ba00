package audit

import (
	"time"

	"comity/taxii/exchange"
)

// maxRefusals bounds the different refusals of one account that have lines of their own
// in one minute. The others are counted in one line, so a scan cannot fill the record.
const maxRefusals = 100

// furtherRefusals is the text of the one line for the rest.
const furtherRefusals = "further refusals, of other requests in the same minute"

// refusalKey is what two refusals must have in common to be one line.
type refusalKey struct {
	minute                                        int64 // of Unix time
	account, org, home, token                     string
	collection, agreement, article, reason, whose string
}

type refusal struct {
	refusalKey
	began time.Time
	count int
}

// Refuse records that a request of p was refused. The collection (id), the agreement
// and its article are "" where there are none; reason must not quote the request. The
// organisation whose may read the line: p's own where p may know that the collection
// exists, the centre where the answer was that it does not.
//
// Refusals of a minute that differ in nothing are one line, committed a minute after the
// first. A refusal gives no data away. So unlike deliveries, refusals are only counted, in
// one line an account and minute, once too much waits.
func (r *Recorder) Refuse(p exchange.Principal, whose, collection, agreement, article, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	minute := r.countMinute(now)
	key := refusalKey{minute, p.Account, p.Org, p.Home, p.Token, collection, agreement, article, reason, whose}
	if f := r.refusals[key]; f != nil {
		f.count++
		return
	}
	if r.differentRefusals[p.Account]++; r.differentRefusals[p.Account] > maxRefusals || r.full() {
		key = refusalKey{minute: minute, account: p.Account, org: p.Org, reason: furtherRefusals, whose: whose}
		if f := r.refusals[key]; f != nil {
			f.count++
			return
		}
	}
	f := &refusal{key, now, 1}
	r.refusals[key] = f
	r.add(f)
}

func (f *refusal) due() time.Time { return f.began.Add(time.Minute) }

func (f *refusal) size() int { return entrySize }

func (f *refusal) entry() Entry {
	return Entry{
		Act: Refusal, Time: f.began,
		Account: f.account, Org: f.org, Home: f.home, Token: f.token,
		Collection: f.collection, Agreement: f.agreement, Article: f.article,
		Count: f.count, Text: f.reason, Parties: []string{f.whose},
	}
}
