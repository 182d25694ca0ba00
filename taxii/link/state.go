package link

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"comity/stix"
	"comity/taxii/audit"
	"comity/taxii/client"
	"comity/taxii/exchange"
)

// State is what a link has done. The store keeps it as a document.
type State struct {
	LastTry     time.Time `json:"last_try,omitzero"`
	LastSuccess time.Time `json:"last_success,omitzero"`
	NextTry     time.Time `json:"next_try,omitzero"`
	UpToDate    time.Time `json:"up_to_date,omitzero"` // when the last run began that had everything at its end
	Failures    int       `json:"failures"`            // in a row
	Problem     string    `json:"problem,omitempty"`   // of the last run; "" if it succeeded
	Notices     []string  `json:"notices,omitempty"`   // faults of the other server in the last run, which it got over

	Objects int64            `json:"objects"`           // that were new to our collection, or that the other server took
	Refused map[string]int64 `json:"refused,omitempty"` // objects by rule or article, or by a word where there is none
	Recent  []Refusal        `json:"recent,omitempty"`  // the last of them

	Position client.Position `json:"position,omitzero"` // of a link that pulls: how far it came
	Sent     time.Time       `json:"sent,omitzero"`     // of a link that pushes: date_added of the last record that it went past
	Stuck    int             `json:"stuck,omitempty"`   // runs that failed since, because the other server took none of a batch or did not decide on it
	Audited  uint64          `json:"audited,omitempty"` // number of the last audit entry that it read
	Foreign  []span          `json:"foreign,omitempty"` // records after Sent that came from the other server

	Added time.Time `json:"link_added"` // of the link: another one of its name begins anew
}

// Refusal is an object that was refused: by us if the link pulls, else by the other server.
type Refusal struct {
	Time    time.Time `json:"time"`
	ID      string    `json:"id"`
	Message string    `json:"message"`
}

// span is a range of date_added, both ends inclusive.
type span struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// Withdrawn is an object that a link has sent and that was removed here since. TAXII cannot
// tell the other server.
type Withdrawn struct {
	ID   stix.ID   `json:"id"`
	Time time.Time `json:"time"`
	Why  string    `json:"why"`
}

// The documents of a link.
func stateDocument(name string) string     { return "link/" + name }
func withdrawnDocument(name string) string { return "link/" + name + "/withdrawn" }

// state is the state of a link; empty if it never ran.
func (s *Service) state(ctx context.Context, l *exchange.Link) (State, error) {
	text, err := s.store.Document(ctx, stateDocument(l.Name))
	if err != nil {
		return State{}, err
	}
	return decodeState(l, text)
}

func decodeState(l *exchange.Link, text []byte) (st State, err error) {
	if text != nil {
		if err := json.Unmarshal(text, &st); err != nil {
			return st, fmt.Errorf("state of link %s: %w", l.Name, err)
		}
	}
	if !st.Added.Equal(l.Added) {
		st = State{Added: l.Added}
	}
	return st, nil
}

// save changes the state of the link.
func (r *run) save(ctx context.Context, change func(*State)) error {
	err := r.store.AmendDocument(ctx, stateDocument(r.link.Name), func(old []byte) ([]byte, []audit.Entry, error) {
		st, err := decodeState(r.link, old)
		if err != nil {
			return nil, nil, err
		}
		change(&st)
		text, err := json.Marshal(st)
		if err == nil {
			r.state = st
		}
		return text, nil, err
	})
	if err == nil {
		r.remember(r.link.Name, r.state)
	}
	return err
}

// The bounds of what a link remembers of refused objects. The other server may name rules of
// its own.
const (
	maxRecent = 20  // objects one by one
	maxRules  = 100 // rules; the refusals by further ones count as "other"
)

// refuse counts a refused object.
func (st *State) refuse(rule string, refused Refusal) {
	if st.Refused == nil {
		st.Refused = map[string]int64{}
	}
	if len(st.Refused) >= maxRules && st.Refused[rule] == 0 {
		rule = "other"
	}
	st.Refused[rule]++
	st.Recent = append(st.Recent, refused)
	st.Recent = slices.Delete(st.Recent, 0, max(len(st.Recent)-maxRecent, 0))
}

// ruleForm is how the message of a refusal begins, at comity servers.
var ruleForm = regexp.MustCompile(`^(R-\d{3}|article [^ :]+( of [^ :]+)?)\b`)

// ruleOf is the rule or article that a message names, else "other".
func ruleOf(message string) string {
	if rule := ruleForm.FindString(message); rule != "" {
		return rule
	}
	return "other"
}

// withdrawn are the objects that a link has sent and that were removed here since, oldest
// removal first.
func (s *Service) withdrawn(ctx context.Context, l *exchange.Link) (list []Withdrawn, err error) {
	text, err := s.store.Document(ctx, withdrawnDocument(l.Name))
	if err != nil || text == nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("withdrawn objects of link %s: %w", l.Name, err)
	}
	return slices.DeleteFunc(list, func(w Withdrawn) bool { return w.Time.Before(l.Added) }), nil
}

// Forget drops what is kept of a link that was removed.
func (s *Service) Forget(ctx context.Context, name string) error {
	if err := s.Clear(ctx, name); err != nil {
		return err
	}
	return s.drop(ctx, stateDocument(name))
}

// Clear empties the list of withdrawn objects of a link.
func (s *Service) Clear(ctx context.Context, name string) error {
	return s.drop(ctx, withdrawnDocument(name))
}

func (s *Service) drop(ctx context.Context, document string) error {
	return s.store.AmendDocument(ctx, document, func([]byte) ([]byte, []audit.Entry, error) { return nil, nil, nil })
}

// Status is a link with its state.
type Status struct {
	exchange.Link
	State
	Lag       float64     `json:"lag_seconds"` // since the link was last up to date, or was added
	Running   bool        `json:"running"`     // by this process
	Withdrawn []Withdrawn `json:"withdrawn"`
}

// List is the status of each link, by name.
func (s *Service) List(ctx context.Context) ([]Status, error) {
	newest, err := s.current.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	list := []Status{}
	for _, l := range newest.Directory.Links {
		st, err := s.status(ctx, l)
		if err != nil {
			return nil, err
		}
		list = append(list, st)
	}
	slices.SortFunc(list, func(a, b Status) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// Status is the status of one link; NotFound if there is none.
func (s *Service) Status(ctx context.Context, name string) (Status, error) {
	newest, err := s.current.Snapshot(ctx)
	if err != nil {
		return Status{}, err
	}
	l, err := newest.Directory.Link(name)
	if err != nil {
		return Status{}, err
	}
	return s.status(ctx, l)
}

func (s *Service) status(ctx context.Context, l *exchange.Link) (out Status, err error) {
	out.Link = *l
	if out.State, err = s.state(ctx, l); err != nil {
		return out, err
	}
	if out.Withdrawn, err = s.withdrawn(ctx, l); err != nil {
		return out, err
	}
	out.Position.Seen, out.Foreign = nil, nil // long, and of no use to a reader
	since := out.UpToDate
	if since.IsZero() {
		since = l.Added
	}
	out.Lag = s.now().Sub(since).Seconds()
	s.mu.Lock()
	out.Running = s.running[l.Name]
	s.mu.Unlock()
	return out, nil
}
