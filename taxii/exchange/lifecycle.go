package exchange

import (
	"slices"
	"time"

	"comity/taxii/agreement"
)

// State is the stage of an agreement's life.
type State string

// The states, in the order of an agreement's life.
const (
	Deposited State = "deposited" // waits for signatures
	Signed    State = "signed"    // waits for its effective date
	InForce   State = "in force"
	Suspended State = "suspended" // flows have stopped; it can be reinstated
	WindUp    State = "wind-up"   // only the flows it names for that are open
	Ended     State = "ended"
	Withdrawn State = "withdrawn" // the parties left it, and their data was removed
)

// Binds tells whether the agreement is binding, even if its flows have stopped.
func (s State) Binds() bool { return s == InForce || s == Suspended || s == WindUp }

// lifecycle is an agreement with its versions and acts, which decide its state.
type lifecycle struct {
	latest   *agreement.Agreement // deposited last, signed or not
	editions []*edition           // the signed versions, in order
	acts     []Act                // in order of time
}

// edition is one signed version, in force until the next one is.
type edition struct {
	text        *agreement.Agreement
	members     []agreement.Member
	since       time.Time // when its last signature came or its term begins, if that is later; zero for the first
	collections []*Collection
}

// editionAt is the edition in force at that time; nil while none is signed.
func (s *lifecycle) editionAt(now time.Time) *edition {
	for i := len(s.editions) - 1; i >= 0; i-- {
		if e := s.editions[i]; !now.Before(e.since) {
			return e
		}
	}
	return nil
}

// left tells whether an organisation has withdrawn by that time.
func (s *lifecycle) left(org string, now time.Time) bool { return left(s.acts, org, now) }

// Left tells whether a member has withdrawn from the agreement by that time.
func (d *Deposit) Left(org string, now time.Time) bool { return left(d.Acts, org, now) }

func left(acts []Act, org string, now time.Time) bool {
	left := false
	for _, a := range acts {
		switch {
		case a.At.After(now):
		case a.Kind == Withdraw && a.Party == org:
			left = true
		case a.Kind == Reinstate && a.Party == org:
			left = false
		}
	}
	return left
}

// ends is the end of the term, as known at that time: that of the text, or of an
// earlier act that ends the agreement.
func (s *lifecycle) ends(text *agreement.Agreement, now time.Time) time.Time {
	ends := text.Term.Expires
	for _, a := range s.acts {
		if a.Kind == End && !a.At.After(now) && a.At.Before(ends) {
			ends = a.At
		}
	}
	return ends
}

// state is the stage of the agreement at that time.
func (s *lifecycle) state(now time.Time) State {
	e := s.editionAt(now)
	if e == nil {
		return Deposited
	}
	if len(s.acts) > 0 && s.withdrawn(e, now) {
		return Withdrawn
	}
	term, ends := &e.text.Term, s.ends(e.text, now)
	switch {
	case !term.Effective.Before(ends):
		return Ended // before it began
	case now.Before(term.Effective):
		return Signed
	case now.Before(ends):
		if s.suspended(now) {
			return Suspended
		}
		return InForce
	case term.WindUp != nil && now.Before(term.WindUp.Lasts.After(ends)):
		if s.suspended(now) {
			return Suspended
		}
		return WindUp
	}
	return Ended
}

// withdrawn tells whether the centre has withdrawn, or every other member has.
func (s *lifecycle) withdrawn(e *edition, now time.Time) bool {
	centre := e.text.Centre()
	if centre != "" && s.left(centre, now) {
		return true
	}
	return !slices.ContainsFunc(e.members, func(m agreement.Member) bool { return m.Org != centre && !s.left(m.Org, now) })
}

// suspended tells whether an act has stopped the flows and none has reinstated them.
func (s *lifecycle) suspended(now time.Time) bool {
	suspended := false
	for _, a := range s.acts {
		if a.At.After(now) {
			break
		}
		switch {
		case a.Kind == Suspend:
			suspended = true
		case a.Kind == Reinstate && a.Party == "":
			suspended = false
		}
	}
	return suspended
}

// transitions are the times at which the state or the edition in force may change.
func (s *lifecycle) transitions() []time.Time {
	var ts []time.Time
	for _, a := range s.acts {
		ts = append(ts, a.At) // an act may be set for later
	}
	for _, e := range s.editions {
		term := &e.text.Term
		ts = append(ts, e.since, term.Effective, term.Expires)
		if term.WindUp != nil {
			ts = append(ts, term.WindUp.Lasts.After(term.Expires))
			for _, a := range s.acts {
				if a.Kind == End {
					ts = append(ts, term.WindUp.Lasts.After(a.At))
				}
			}
		}
	}
	return ts
}
