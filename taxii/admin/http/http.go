// Package adminhttp carries the acts of taxii/admin over HTTP: the Unix socket of a
// running server, or a pipe in the process of a command when none runs. The caller
// never has to know which.
package adminhttp

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"github.com/gorilla/mux"

	"comity/taxii"
	"comity/taxii/admin"
)

// userHeader names the user who runs a command, as in admin.Actor.User. It is trusted,
// because every user who can write to the socket owns the store.
const userHeader = "Comity-User"

// Handler is the HTTP API of a Service. A verb is POST /<verb> with a JSON argument
// and a JSON answer; verbs with much data stream it. Errors are TAXII error
// resources, with the cause spelled out: only the operator reads them.
func Handler(s *admin.Service) http.Handler {
	r := mux.NewRouter()
	act(r, "init", s.Init)
	act(r, "org/add", s.AddOrganisation)
	act(r, "org/edit", s.EditOrganisation)
	act(r, "org/key", s.RegisterKey)
	list(r, "org/list", s.Organisations)
	act(r, "org/suspend", s.SuspendOrganisation)
	act(r, "account/add", s.AddAccount)
	act(r, "account/edit", s.EditAccount)
	list(r, "account/list", s.Accounts)
	act(r, "account/disable", s.DisableAccount)
	act(r, "token/add", s.AddToken)
	list(r, "token/list", s.Tokens)
	act(r, "token/revoke", s.RevokeToken)
	act(r, "feed/add", s.AddFeed)
	ask(r, "feed/preview", s.PreviewFeed)
	list(r, "feed/list", s.Feeds)
	ask(r, "feed/show", s.Feed)
	ask(r, "feed/secrets", s.FeedSecrets)
	ask(r, "feed/test", s.TestFeed)
	act(r, "feed/rotate", s.RotateFeed)
	act(r, "feed/remove", s.RemoveFeed)
	list(r, "store/servers", s.Servers)
	act(r, "link/add", s.AddLink)
	list(r, "link/list", s.Links)
	ask(r, "link/show", s.Link)
	ask(r, "link/run", s.RunLink)
	act(r, "link/pause", s.PauseLink)
	act(r, "link/resume", s.ResumeLink)
	act(r, "link/clear", s.ClearLink)
	act(r, "link/remove", s.RemoveLink)
	act(r, "agreement/load", s.LoadAgreements)
	list(r, "agreement/list", s.Agreements)
	ask(r, "agreement/show", s.Agreement)
	act(r, "agreement/act", s.ActOnAgreement)
	act(r, "agreement/withdraw", s.Withdraw)
	ask(r, "agreement/preview", s.PreviewLoss)
	ask(r, "collections", s.Collections)
	ask(r, "grants", s.Grants)
	ask(r, "why", s.Why)
	ask(r, "setup", s.Setup)
	ask(r, "submission", s.Submission)
	ask(r, "recall/preview", s.PreviewRecall)
	act(r, "recall/object", s.Recall)
	ask(r, "purge/due", s.Due)
	act(r, "purge/now", s.Purge)
	list(r, "quarantine/list", s.Quarantined)
	ask(r, "quarantine/show", s.QuarantinedObject)
	act(r, "quarantine/discard", s.Discard)
	ask(r, "op/stats", s.Stats)
	ask(r, "op/contributions", s.Contributions)
	ask(r, "op/reports", s.Reports)
	ask(r, "op/findings", s.Findings)
	ask(r, "op/issues", s.Issues)
	ask(r, "op/outcomes", s.Outcomes)
	act(r, "report/draft", s.Draft)
	act(r, "report/publish", s.Publish)
	ask(r, "report/show", s.Report)
	act(r, "outcome/report", s.ReportOutcome)
	act(r, "outcome/uphold", func(ctx context.Context, by admin.Actor, in admin.Uphold) (none, error) {
		return none{}, s.Uphold(ctx, by, in)
	})
	ask(r, "audit/list", s.AuditEntries)
	stream(r, "audit/verify", func(ctx context.Context, _ admin.Actor, _ url.Values, _ io.Reader, w *answer) error {
		return s.VerifyAudit(ctx, func(c admin.ChainChecked) { w.line(c) })
	})
	stream(r, "audit/export", func(ctx context.Context, _ admin.Actor, q url.Values, _ io.Reader, w *answer) error {
		return s.ExportAudit(ctx, q.Get("party"), w)
	})
	stream(r, "audit/archive", func(ctx context.Context, _ admin.Actor, q url.Values, _ io.Reader, w *answer) error {
		before, err := taxii.ParseTime(q.Get("before"))
		if err != nil {
			return err
		}
		return s.ArchiveAudit(ctx, before, w)
	})
	act(r, "audit/drop", s.DropArchived)
	stream(r, "import", func(ctx context.Context, by admin.Actor, q url.Values, body io.Reader, w *answer) error {
		submission, err := s.Import(ctx, by, q.Get("collection"), q.Get("as"), body)
		if err != nil {
			return err
		}
		return json.NewEncoder(w).Encode(submission)
	})
	stream(r, "export", func(ctx context.Context, by admin.Actor, q url.Values, _ io.Reader, w *answer) error {
		in := admin.Export{Collection: q.Get("collection"), As: q.Get("as")}
		if since := q.Get("since"); since != "" {
			var err error
			if in.Since, err = taxii.ParseTime(since); err != nil {
				return err
			}
		}
		return s.Export(ctx, by, in, w)
	})
	stream(r, "backup", func(ctx context.Context, by admin.Actor, _ url.Values, _ io.Reader, w *answer) error {
		return s.Backup(ctx, by, admin.Backup{}, w)
	})
	stream(r, "check", func(ctx context.Context, _ admin.Actor, _ url.Values, _ io.Reader, w *answer) error {
		return s.Check(ctx, func(c admin.Checked) { w.line(c) })
	})
	return r
}

// none is the argument or the answer of a verb that has none.
type none struct{}

// actor is the user who runs the command.
func actor(r *http.Request) admin.Actor { return admin.Actor{User: r.Header.Get(userHeader)} }

// act mounts an act that leaves an entry in the audit record.
func act[In, Out any](r *mux.Router, verb string, f func(context.Context, admin.Actor, In) (Out, error)) {
	r.Methods(http.MethodPost).Path("/" + verb).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			fail(w, &taxii.Error{Code: taxii.Invalid, Msg: "the argument of " + verb + " is malformed", Err: err})
			return
		}
		out, err := f(r.Context(), actor(r), in)
		if err != nil {
			fail(w, err)
			return
		}
		json.NewEncoder(w).Encode(out)
	})
}

// ask mounts an act that needs no Actor, since it changes nothing.
func ask[In, Out any](r *mux.Router, verb string, f func(context.Context, In) (Out, error)) {
	act(r, verb, func(ctx context.Context, _ admin.Actor, in In) (Out, error) { return f(ctx, in) })
}

// list mounts an act without an argument.
func list[Out any](r *mux.Router, verb string, f func(context.Context) (Out, error)) {
	ask(r, verb, func(ctx context.Context, _ none) (Out, error) { return f(ctx) })
}

// stream mounts an act that reads the body or writes the answer itself. Its argument is
// the query. After an error behind the first byte of the answer the connection is closed,
// so that the client notices that the answer is incomplete.
func stream(r *mux.Router, verb string, f func(context.Context, admin.Actor, url.Values, io.Reader, *answer) error) {
	r.Methods(http.MethodPost).Path("/" + verb).HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := &answer{w: w}
		if err := f(r.Context(), actor(r), r.URL.Query(), r.Body, out); err != nil {
			if out.begun {
				panic(http.ErrAbortHandler)
			}
			fail(w, err)
		}
	})
}

// answer is the writer of a streamed answer.
type answer struct {
	w     http.ResponseWriter
	begun bool
}

// Write implements io.Writer.
func (a *answer) Write(b []byte) (int, error) {
	a.begun = a.begun || len(b) > 0
	return a.w.Write(b)
}

// line writes a line of JSON and sends it at once. It ignores errors: if the caller is
// gone, the context of the request ends.
func (a *answer) line(v any) {
	json.NewEncoder(a).Encode(v)
	http.NewResponseController(a.w).Flush()
}

// fail answers with the error. The status is always 400; the error code says more.
func fail(w http.ResponseWriter, err error) {
	w.WriteHeader(http.StatusBadRequest)
	json.NewEncoder(w).Encode(taxii.ErrorMessage{
		Title:       "failed",
		Description: err.Error(),
		ErrorCode:   taxii.CodeOf(err),
	})
}
