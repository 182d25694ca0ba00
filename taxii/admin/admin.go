// Package admin does what the operator's commands ask, behind one HTTP API:
// over the Unix socket of a running server, or in the process of the command
// when none runs. The caller never has to know which.
//
// It reads and writes no files: bytes travel in requests and answers. It sets
// no grant, for none can be set.
package admin

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/custody"
	"comity/taxii/exchange"
	"comity/taxii/intake"
	"comity/taxii/operation"
)

// Admin carries out commands. It is safe for concurrent use.
type Admin struct {
	store   store.Store
	current *exchange.Current
	intake  *intake.Intake
	custody *custody.Service
	desk    *operation.Desk
	now     func() time.Time
}

// New makes an Admin over an open store.
func New(s store.Store, current *exchange.Current, in *intake.Intake, st *custody.Service, desk *operation.Desk, now func() time.Time) *Admin {
	return &Admin{s, current, in, st, desk, now}
}

// Handler is the admin API. A verb is POST /<verb> with a JSON argument and a
// JSON answer; those that move much data stream it. Errors are TAXII error
// resources, with the cause spelled out: only the operator reads them.
func (a *Admin) Handler() http.Handler {
	mux := http.NewServeMux()
	verb(mux, "init", a.initialise)
	verb(mux, "org/add", a.addOrganisation)
	verb(mux, "org/key", a.registerKey)
	verb(mux, "org/list", a.organisations)
	verb(mux, "org/suspend", a.suspend)
	verb(mux, "account/add", a.addAccount)
	verb(mux, "account/list", a.accounts)
	verb(mux, "account/disable", a.disableAccount)
	verb(mux, "token/add", a.addToken)
	verb(mux, "token/list", a.tokens)
	verb(mux, "token/revoke", a.revokeToken)
	verb(mux, "agreement/load", a.loadAgreements)
	verb(mux, "agreement/list", a.agreements)
	verb(mux, "agreement/show", a.showAgreement)
	verb(mux, "agreement/act", a.actOnAgreement)
	verb(mux, "agreement/withdraw", a.withdraw)
	verb(mux, "collections", a.collections)
	verb(mux, "grants", a.grants)
	verb(mux, "why", a.why)
	verb(mux, "submission", a.submission)
	verb(mux, "recall/preview", a.previewRecall)
	verb(mux, "purge/due", a.due)
	verb(mux, "purge/now", a.purge)
	verb(mux, "quarantine/list", a.quarantined)
	verb(mux, "quarantine/show", a.showQuarantined)
	verb(mux, "quarantine/discard", a.discard)
	verb(mux, "op/stats", a.stats)
	verb(mux, "op/contributions", a.contributions)
	verb(mux, "op/reports", a.reports)
	verb(mux, "op/findings", a.findings)
	verb(mux, "op/issues", a.issues)
	verb(mux, "op/outcomes", a.outcomes)
	verb(mux, "report/draft", a.draft)
	verb(mux, "report/publish", a.publish)
	verb(mux, "report/show", a.showReport)
	verb(mux, "outcome/report", a.reportOutcome)
	verb(mux, "outcome/uphold", a.uphold)
	verb(mux, "audit/list", a.auditEntries)
	stream(mux, "audit/verify", a.verifyAudit)
	stream(mux, "audit/export", a.exportAudit)
	stream(mux, "import", a.importBundle)
	stream(mux, "export", a.export)
	stream(mux, "backup", a.backup)
	stream(mux, "check", a.check)
	return mux
}

// None is the argument or the answer of a verb that has none.
type None struct{}

// Name names one thing.
type Name struct{ ID string }

// verb mounts a function of one JSON argument and one JSON answer.
func verb[In, Out any](mux *http.ServeMux, name string, f func(context.Context, In) (Out, error)) {
	mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			fail(w, &taxii.Error{Code: taxii.Invalid, Msg: "the argument of " + name + " is malformed", Err: err})
			return
		}
		out, err := f(r.Context(), in)
		if err != nil {
			fail(w, err)
			return
		}
		json.NewEncoder(w).Encode(out)
	})
}

// stream mounts a function that reads the body or writes the answer itself.
// Its argument is the query. An error after the first octet cuts the
// connection, so that half an answer is never taken for a whole one.
func stream(mux *http.ServeMux, name string, f func(w http.ResponseWriter, r *http.Request) error) {
	mux.HandleFunc("POST /"+name, func(w http.ResponseWriter, r *http.Request) {
		out := &counted{ResponseWriter: w}
		if err := f(out, r); err != nil {
			if out.n > 0 {
				panic(http.ErrAbortHandler)
			}
			fail(w, err)
		}
	})
}

type counted struct {
	http.ResponseWriter
	n int64
}

func (c *counted) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	return c.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController flush.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// fail answers with the error. Every failure is a 400 here: the code says more.
func fail(w http.ResponseWriter, err error) {
	w.WriteHeader(http.StatusBadRequest)
	json.NewEncoder(w).Encode(taxii.ErrorMessage{
		Title:       "failed",
		Description: err.Error(),
		ErrorCode:   taxii.CodeOf(err),
	})
}

// policy is that of the newest directory.
func (a *Admin) policy(ctx context.Context) (*exchange.Policy, *exchange.Directory, error) {
	newest, err := a.current.Snapshot(ctx)
	if err != nil {
		return nil, nil, err
	}
	if newest.Directory.Centre.ID == "" {
		return nil, nil, taxii.Errorf(taxii.Conflict, "this data folder has no centre yet; run comity init first")
	}
	return newest.Policy, newest.Directory, nil
}

// amend changes the directory of a centre that exists, together with the entries
// that say so. Change may be called more than once.
func (a *Admin) amend(ctx context.Context, change func(*exchange.Directory) ([]audit.Entry, error)) error {
	return a.store.Amend(ctx, func(d *exchange.Directory) ([]audit.Entry, error) {
		if d.Centre.ID == "" {
			return nil, taxii.Errorf(taxii.Conflict, "this data folder has no centre yet; run comity init first")
		}
		return change(d)
	})
}

// at is the time asked for, now if none is.
func (a *Admin) at(t *time.Time) time.Time {
	if t != nil {
		return *t
	}
	return a.now()
}

// principal is the account as if it had authenticated at that time. Conflict if
// it could not.
func principal(p *exchange.Policy, d *exchange.Directory, id string, at time.Time) (exchange.Principal, error) {
	account, err := d.Account(id)
	if err != nil {
		return exchange.Principal{}, err
	}
	if !account.Usable(at) {
		return exchange.Principal{}, taxii.Errorf(taxii.Conflict, "account %s is disabled or has expired", id)
	}
	home, works := p.Home(account.ID(), at)
	if !works {
		return exchange.Principal{}, taxii.Errorf(taxii.Conflict, "account %s is a seconded person's, and the secondment does not hold", id)
	}
	pr := account.Principal()
	pr.Home = home
	return pr, nil
}
