package admin_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/audit"
	"comity/taxii/custody"
	"comity/taxii/exchange"
	"comity/taxii/feed"
	"comity/taxii/intake"
	"comity/taxii/link"
	"comity/taxii/operation"
)

var noon = time.Date(2026, time.May, 4, 12, 0, 0, 0, time.UTC)

// ana runs the commands of these tests.
var ana = admin.Actor{User: "ana(1000)"}

// withoutKey is the Service of a data folder whose centre has no key, as those were
// before there were signatures.
func withoutKey(t *testing.T) *admin.Service {
	t.Helper()
	s, _, _ := newService(t)
	return s
}

// newService is such a Service with its recorder and store.
func newService(t *testing.T) (*admin.Service, *audit.Recorder, *bolt.Store) {
	t.Helper()
	dir, now, log := t.TempDir(), func() time.Time { return noon }, slog.New(slog.DiscardHandler)
	s, err := bolt.Open(dir, now, log, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	service, recorder := serviceOn(s, dir)
	if _, err := service.Init(t.Context(), ana, admin.Init{ID: "igci", Name: "Centre", Country: "SG"}); err != nil {
		t.Fatal(err)
	}
	return service, recorder, s
}

// serviceOn is a Service on a store.
func serviceOn(s store.Store, dir string) (*admin.Service, *audit.Recorder) {
	now, log := func() time.Time { return noon }, slog.New(slog.DiscardHandler)
	current, recorder := exchange.NewCurrent(s), audit.New(s.Record, now, log)
	c := custody.New(s, current, recorder, nil, now, log)
	return admin.New(s, current, intake.New(s, dir, now), c, operation.New(s, current, c, dir, now, log), feed.New(s, current, recorder, nil, feed.Config{}, now, log), link.New(s, current, intake.New(s, dir, now), c, now, log), now), recorder
}

func TestWithoutAKeyTheCentreIsToldHowToMakeOne(t *testing.T) {
	s := withoutKey(t)
	check := func(what string, err error) {
		t.Helper()
		if taxii.CodeOf(err) != taxii.Conflict || !strings.Contains(err.Error(), "comity org key igci --new-key") {
			t.Errorf("%s: %v, want a conflict that says what to do", what, err)
		}
	}
	var export strings.Builder
	check("export", s.ExportAudit(t.Context(), "igci", &export))
	if export.Len() > 0 {
		t.Errorf("it was written all the same:\n%s", &export)
	}
	_, err := s.Withdraw(t.Context(), ana, admin.Withdraw{ID: "dea-acme", Party: "acme", Reason: "notice"})
	check("withdraw", err)

	const key = "ed25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	if _, err := s.RegisterKey(t.Context(), ana, admin.RegisterKey{ID: "igci", Key: key}); err != nil {
		t.Fatal(err)
	}
	if err := s.ExportAudit(t.Context(), "igci", &export); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(export.String(), key) {
		t.Errorf("the export does not name the key:\n%s", &export)
	}
}

// TestEveryChangeIsOnRecordOnce holds that a change and its entry are one, that the
// entry names who made the change, and that what changes nothing leaves no entry.
func TestEveryChangeIsOnRecordOnce(t *testing.T) {
	s, ctx := withoutKey(t), t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	acme := exchange.Organisation{ID: "acme", Kind: "private-vendor", Name: "Acme", Country: "US"}
	must(s.AddOrganisation(ctx, ana, acme))
	must(s.AddAccount(ctx, admin.Actor{User: "ben(1001)"}, admin.AddAccount{Account: exchange.Account{Org: "acme", Name: "feed"}, Secret: "correct horse"}))
	for range 2 {
		must(s.SuspendOrganisation(ctx, ana, admin.Suspend{ID: "acme", Suspended: true}))
		must(s.DisableAccount(ctx, admin.Actor{}, admin.Disable{ID: "acme/feed", Disabled: true, Reason: "key lost"}))
		must(s.EditAccount(ctx, ana, admin.EditAccount{ID: "acme/feed", Purposes: []string{"cybercrime"}, Expires: new(noon.Add(time.Hour))}))
	}
	for range 2 {
		must(s.EditAccount(ctx, ana, admin.EditAccount{ID: "acme/feed", Expires: new(time.Time)}))
	}
	if _, err := s.AddOrganisation(ctx, ana, acme); err == nil {
		t.Error("an organisation was added twice")
	}
	entries, err := s.AuditEntries(ctx, admin.AuditEntries{Limit: 100})
	must(nil, err)
	want := []string{
		"operator:ana(1000): centre igci made", "operator:ana(1000): organisation acme added", "operator:ben(1001): account acme/feed added",
		"operator:ana(1000): organisation acme suspended", "operator: account acme/feed disabled: key lost",
		"operator:ana(1000): account acme/feed edited: purposes cybercrime instead of criminal-trends, cyberthreats, cybercrime, it expires 2026-05-04T13:00:00.000000Z",
		"operator:ana(1000): account acme/feed edited: it does not expire",
	}
	if len(entries) != len(want) {
		t.Fatalf("%d entries, want %d: %+v", len(entries), len(want), entries)
	}
	for i, e := range entries {
		if got := e.Account + ": " + e.Text; got != want[i] {
			t.Errorf("entry %d is %q, want %q", i+1, got, want[i])
		}
		if e.Act != audit.Directory || e.Org != "igci" || len(e.Parties) != 1 {
			t.Errorf("%+v", e)
		}
	}
}

// A person in the console changes who may do what only with the post of an operator and with
// a reason. A token of one's own is revoked without either.
func TestOnlyOperatorsChangeWhatOthersMayDoAndSayWhy(t *testing.T) {
	s, ctx := withoutKey(t), t.Context()
	for _, name := range []string{"olga", "ines", "feed"} {
		in := admin.AddAccount{Account: exchange.Account{Org: "igci", Name: name, Person: name != "feed"}}
		if name == "olga" {
			in.Post = exchange.OperatorPost
		}
		if _, err := s.AddAccount(ctx, ana, in); err != nil {
			t.Fatal(err)
		}
	}
	token, err := s.AddToken(ctx, ana, admin.AddToken{Account: "igci/feed"})
	if err != nil {
		t.Fatal(err)
	}
	for name, act := range map[string]func(by admin.Actor, reason string) error{
		"suspend": func(by admin.Actor, reason string) error {
			_, err := s.SuspendOrganisation(ctx, by, admin.Suspend{ID: "igci", Reason: reason})
			return err
		},
		"disable": func(by admin.Actor, reason string) error {
			_, err := s.DisableAccount(ctx, by, admin.Disable{ID: "igci/feed", Disabled: true, Reason: reason})
			return err
		},
		"revoke": func(by admin.Actor, reason string) error {
			_, err := s.RevokeToken(ctx, by, admin.RevokeToken{ID: token.ID, Reason: reason})
			return err
		},
		"end": func(by admin.Actor, reason string) error {
			_, err := s.ActOnAgreement(ctx, by, admin.ActOnAgreement{ID: "none", Kind: exchange.End, Reason: reason})
			return err
		},
		"withdraw": func(by admin.Actor, reason string) error {
			_, err := s.Withdraw(ctx, by, admin.Withdraw{ID: "none", Party: "acme", Reason: reason})
			return err
		},
		"discard": func(by admin.Actor, reason string) error {
			_, err := s.Discard(ctx, by, admin.Discard{Number: 1, Reason: reason})
			return err
		},
	} {
		if err := act(admin.Actor{Account: "igci/ines"}, "why not"); taxii.CodeOf(err) != taxii.NotFound || !strings.Contains(err.Error(), "not for you") {
			t.Errorf("%s without the post: %v", name, err)
		}
		if err := act(admin.Actor{Account: "igci/olga"}, " "); taxii.CodeOf(err) != taxii.Invalid || !strings.Contains(err.Error(), "say why") {
			t.Errorf("%s without a reason: %v", name, err)
		}
		if err := act(admin.Actor{Account: "igci/olga"}, "a key was lost"); err != nil && (strings.Contains(err.Error(), "say why") || strings.Contains(err.Error(), "not for you")) {
			t.Errorf("%s with post and reason: %v", name, err)
		}
	}
	own, err := s.AddToken(ctx, ana, admin.AddToken{Account: "igci/ines"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.RevokeToken(ctx, admin.Actor{Account: "igci/ines"}, admin.RevokeToken{ID: own.ID}); err != nil {
		t.Errorf("a token of one's own: %v", err)
	}
	entries, err := s.AuditEntries(ctx, admin.AuditEntries{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"account igci/feed disabled: a key was lost", "discard of number 1 in quarantine: a key was lost"} {
		if !slices.ContainsFunc(entries, func(e audit.Entry) bool { return e.Account == "igci/olga" && e.Text == text }) {
			t.Errorf("no entry says %q: %+v", text, entries)
		}
	}
}

// An organisation that was suspended is not in the gap that the next server records after
// a kill, so what it got before is on record before the suspension is.
func TestDeliveriesAreOnRecordBeforeASuspension(t *testing.T) {
	s, recorder, _ := newService(t)
	if _, err := s.AddOrganisation(t.Context(), ana, exchange.Organisation{ID: "acme", Kind: "private-vendor", Name: "Acme", Country: "US"}); err != nil {
		t.Fatal(err)
	}
	reader := exchange.Operator(uuid.New())
	if err := recorder.Deliver(reader, taxii.Match{}, audit.Page{First: noon, Last: noon, Count: 1}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.SuspendOrganisation(t.Context(), ana, admin.Suspend{ID: "acme", Suspended: true}); err != nil {
		t.Fatal(err)
	}
	entries, err := s.AuditEntries(t.Context(), admin.AuditEntries{Limit: 2})
	if err != nil || len(entries) != 2 || entries[0].Act != audit.Delivery || entries[1].Text != "organisation acme suspended" {
		t.Errorf("%+v, %v", entries, err)
	}
}

// The audit record has a digest of each account and token, so one that was changed in the
// file of the store is found.
func TestVerifyFindsAnAccountThatWasChangedInTheFile(t *testing.T) {
	s, _, kept := newService(t)
	if _, err := s.AddAccount(t.Context(), ana, admin.AddAccount{Account: exchange.Account{Org: "igci", Name: "feed"}}); err != nil {
		t.Fatal(err)
	}
	token, err := s.AddToken(t.Context(), ana, admin.AddToken{Account: "igci/feed"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddAccount(t.Context(), ana, admin.AddAccount{Account: exchange.Account{Org: "igci", Name: "gone", Disabled: true}}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"igci/feed", "igci/gone"} { // the second is disabled already: no entry tells of it
		if _, err := s.DisableAccount(t.Context(), ana, admin.Disable{ID: id, Disabled: true}); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		change func(*exchange.Directory)
		want   string
	}{
		{func(*exchange.Directory) {}, ""},
		{func(d *exchange.Directory) { d.Accounts["igci/feed"].Disabled = false }, "account igci/feed is not as"},
		{func(d *exchange.Directory) { d.Accounts["igci/feed"].Disabled = true }, ""},
		{func(d *exchange.Directory) { d.Tokens[token.ID].Digest = strings.Repeat("0", 64) }, "token " + token.ID + " is not as"},
		{func(d *exchange.Directory) { delete(d.Tokens, token.ID) }, "token " + token.ID + " is missing"},
	} {
		// Without an entry it is the same as a change of the file.
		if err := kept.Amend(t.Context(), func(d *exchange.Directory) ([]audit.Entry, error) { step.change(d); return nil, nil }); err != nil {
			t.Fatal(err)
		}
		var last admin.ChainChecked
		if err := s.VerifyAudit(t.Context(), func(c admin.ChainChecked) { last = c }); err != nil {
			t.Fatal(err)
		}
		if !last.Done || !strings.Contains(last.Fault, step.want) || step.want == "" && last.Fault != "" {
			t.Errorf("got %+v, want %q", last, step.want)
		}
	}
}

// A new name makes a new version of the STIX identity, which has a date of its own.
func TestARenamedOrganisationHasANewVersionOfItsIdentity(t *testing.T) {
	s := withoutKey(t)
	for _, test := range []struct {
		name, country string
		want          time.Time
	}{
		{"Centre", "MY", time.Time{}},
		{"Hub", "MY", noon.Add(time.Millisecond)}, // the clock of the test stands still
		{"Hub", "SG", noon.Add(time.Millisecond)},
		{"Centre", "SG", noon.Add(2 * time.Millisecond)},
	} {
		o, err := s.EditOrganisation(t.Context(), ana, admin.EditOrganisation{ID: "igci", Name: &test.name, Country: &test.country})
		if err != nil || !o.Renamed.Equal(test.want) {
			t.Errorf("%+v: renamed %s, %v", test, o.Renamed, err)
		}
	}
}

// A person in the console has tokens of the own account alone, and only while the account can
// be used. Whatever the pages knew before, the directory of the act decides.
func TestAPersonMakesTokensOfTheOwnAccountAlone(t *testing.T) {
	s, ctx := withoutKey(t), t.Context()
	for _, name := range []string{"ana", "ben"} {
		if _, err := s.AddAccount(ctx, ana, admin.AddAccount{Account: exchange.Account{Org: "igci", Name: name, Person: true}}); err != nil {
			t.Fatal(err)
		}
	}
	person, other := admin.Actor{Account: "igci/ana"}, admin.Actor{Account: "igci/ben"}
	own, err := s.AddToken(ctx, person, admin.AddToken{Account: "igci/ana"})
	if err != nil {
		t.Fatal(err)
	}
	refused := func(by admin.Actor) {
		t.Helper()
		_, add := s.AddToken(ctx, by, admin.AddToken{Account: "igci/ana"})
		_, rotate := s.RotateToken(ctx, by, admin.RotateToken{ID: own.ID})
		for act, err := range map[string]error{"add": add, "rotate": rotate} {
			if taxii.CodeOf(err) != taxii.NotFound {
				t.Errorf("%s by %s: %v, want NotFound", act, by, err)
			}
		}
	}
	refused(other)
	if _, err := s.RevokeToken(ctx, other, admin.RevokeToken{ID: own.ID, Reason: "mine now"}); taxii.CodeOf(err) != taxii.NotFound {
		t.Errorf("revoked by another person: %v", err)
	}
	if _, err := s.DisableAccount(ctx, ana, admin.Disable{ID: "igci/ana", Disabled: true}); err != nil {
		t.Fatal(err)
	}
	refused(person)
	if _, err := s.RotateToken(ctx, ana, admin.RotateToken{ID: own.ID}); err != nil {
		t.Errorf("an operator of the machine: %v", err)
	}
}

// afterFirstLook is a store in which something happens right after the directory was looked at
// for the first time, by a reader or in a transaction that has not committed yet.
type afterFirstLook struct {
	store.Store
	happens func()
}

func (s *afterFirstLook) looked() {
	if happens := s.happens; happens != nil {
		s.happens = nil
		happens()
	}
}

func (s *afterFirstLook) Directory(ctx context.Context) (*exchange.Directory, uint64, error) {
	defer s.looked()
	return s.Store.Directory(ctx)
}

func (s *afterFirstLook) Amend(ctx context.Context, change func(*exchange.Directory) ([]audit.Entry, error)) error {
	return s.Store.Amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		defer s.looked()
		return change(d)
	})
}

// Acts that take several transactions begin with one that puts the decision on record. A post
// that is taken away before that commits permits nothing.
func TestAPostThatIsTakenAwayMeanwhilePermitsNothing(t *testing.T) {
	for name, act := range map[string]func(ctx context.Context, s *admin.Service, by admin.Actor) error{
		"withdraw": func(ctx context.Context, s *admin.Service, by admin.Actor) error {
			_, err := s.Withdraw(ctx, by, admin.Withdraw{ID: "dea-acme", Party: "acme", Reason: "notice"})
			return err
		},
		"discard": func(ctx context.Context, s *admin.Service, by admin.Actor) error {
			_, err := s.Discard(ctx, by, admin.Discard{Number: 1, Reason: "looked at"})
			return err
		},
		"recall": func(ctx context.Context, s *admin.Service, by admin.Actor) error {
			_, err := s.Recall(ctx, by, admin.Recall{Object: "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", Reason: "a mistake"})
			return err
		},
		"purge": func(ctx context.Context, s *admin.Service, by admin.Actor) error {
			_, err := s.Purge(ctx, by, admin.Purge{Reason: "the clock is right"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			before, _, bolt := newService(t)
			ctx, olga := t.Context(), admin.Actor{Account: "igci/olga"}
			if _, err := before.AddAccount(ctx, ana, admin.AddAccount{Account: exchange.Account{Org: "igci", Name: "olga", Person: true, Post: exchange.OperatorPost}}); err != nil {
				t.Fatal(err)
			}
			s, _ := serviceOn(&afterFirstLook{bolt, func() {
				if _, err := before.EditAccount(ctx, ana, admin.EditAccount{ID: olga.Account, Post: new("")}); err != nil {
					t.Error(err)
				}
			}}, t.TempDir())
			if err := act(ctx, s, olga); taxii.CodeOf(err) != taxii.NotFound || !strings.Contains(err.Error(), "not for you") {
				t.Errorf("got %v", err)
			}
			entries, err := before.AuditEntries(ctx, admin.AuditEntries{Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(entries, func(e audit.Entry) bool { return e.Account == olga.Account }) {
				t.Errorf("the act is on record: %+v", entries)
			}
		})
	}
}
