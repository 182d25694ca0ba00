package audit

import (
	"time"

	"comity/taxii/exchange"
)

// maxRefusals bounds the different refusals of one account that have lines of their own
// in one second. The others are counted in one line, so a scan cannot fill the record.
const maxRefusals = 100

// furtherRefusals is the text of the one line for the rest.
const furtherRefusals = "further refusals, of other requests in the same second"

// second is one second of one account.
type second struct {
	account string
	unix    int64
}

// refusalKey is what two refusals must have in common to be one line.
type refusalKey struct {
	who                                           second
	org, home, token                              string
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
// A refusal gives no data away. So unlike deliveries, refusals are only counted, in one
// line an account and second, once too much waits.
func (r *Recorder) Refuse(p exchange.Principal, whose, collection, agreement, article, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	who := second{p.Account, now.Unix()}
	key := refusalKey{who, p.Org, p.Home, p.Token, collection, agreement, article, reason, whose}
	if f := r.refusals[key]; f != nil {
		f.count++
		return
	}
	if r.different[who]++; r.different[who] > maxRefusals || r.full() {
		key = refusalKey{who: who, org: p.Org, reason: furtherRefusals, whose: whose}
		if f := r.refusals[key]; f != nil {
			f.count++
			return
		}
	}
	f := &refusal{key, now, 1}
	r.refusals[key] = f
	r.add(f)
}

func (f *refusal) due() time.Time { return f.began }

func (f *refusal) size() int { return entrySize }

func (f *refusal) entry() Entry {
	return Entry{
		Act: Refusal, Time: f.began,
		Account: f.who.account, Org: f.org, Home: f.home, Token: f.token,
		Collection: f.collection, Agreement: f.agreement, Article: f.article,
		Count: f.count, Text: f.reason, Parties: []string{f.whose},
	}
}
