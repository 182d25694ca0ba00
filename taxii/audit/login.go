package audit

import "time"

// maxLogins is how many different refused logins have a line of their own in one
// minute: of one address, and of all. The others are counted in one line for the
// address, or in one for all, so guesses cannot fill the record.
const (
	maxLogins    = 10
	maxAllLogins = 200
)

// loginKey is what two refused logins must have in common to be one line.
type loginKey struct {
	minute                         int64
	remote, reason, account, token string
}

type login struct {
	loginKey
	began time.Time
	count int
}

// RefuseLogin notes that a login from a network address was refused, why, and as which
// account and by which token (id) where there are such. It is a line of the centre.
// Refused logins of a minute that differ in nothing are one line, committed when the
// minute is over.
func (r *Recorder) RefuseLogin(remote, reason, account, token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	minute := r.countMinute(now)
	key := loginKey{minute, remote, reason, account, token}
	if r.logins[key] == nil && r.differentLogins[remote] >= maxLogins {
		key = loginKey{minute: minute, remote: remote, reason: "further refusals"}
	}
	if r.logins[key] == nil && (r.differentLogins[""] >= maxAllLogins || r.full()) {
		key = loginKey{minute: minute, reason: "further refusals"}
	}
	if l := r.logins[key]; l != nil {
		l.count++
		return
	}
	r.differentLogins[remote]++
	r.differentLogins[""]++
	l := &login{key, now, 1}
	r.logins[key] = l
	r.add(l)
}

func (l *login) due() time.Time { return l.began.Add(time.Minute) }

func (l *login) size() int { return entrySize }

func (l *login) entry() Entry {
	return Entry{
		Act: Refusal, Time: l.began, Remote: l.remote, Account: l.account, Token: l.token,
		Count: l.count, Text: "login: " + l.reason,
	}
}
