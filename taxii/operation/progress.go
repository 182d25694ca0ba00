package operation

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"comity/taxii"
	"comity/taxii/audit"
)

// progress is how far an operation has come. It is kept as JSON in a document of the
// store.
type progress struct {
	Draft    *draft            `json:"draft,omitempty"`    // waits for a second person; nil if none does
	First    *time.Time        `json:"first,omitempty"`    // when its reports and feeds were first published
	Released *time.Time        `json:"released,omitempty"` // when they were last published
	Covers   *time.Time        `json:"covers,omitempty"`   // the date_added up to which they cover data; nil: Released
	Drafted  string            `json:"drafted,omitempty"`  // the account that drafted what was last published
	Approved string            `json:"approved,omitempty"` // the account that published it
	Reworked uint64            `json:"reworked,omitempty"` // number of the audit entry up to which removals have been reworked
	Notes    map[string][]note `json:"notes,omitempty"`    // by the number of the report
	Upheld   []string          `json:"upheld,omitempty"`   // ids of infrastructure about which the centre upheld a dispute
}

// draft identifies a release that one person has drafted.
type draft struct {
	By     string    `json:"by"`             // account
	Home   string    `json:"home,omitempty"` // home organisation of a seconded person
	At     time.Time `json:"at"`
	Digest string    `json:"digest"` // of its whole content
}

// note is an analyst's words in a report.
type note struct {
	Author string `json:"author"` // account
	Text   string `json:"text"`
}

// document is the name of the document that the progress is kept in.
func (o *operation) document() string { return "operation/" + o.text.ID }

// loadProgress reads the progress if it has changed.
func (o *operation) loadProgress(ctx context.Context) error {
	saved, err := o.runner.store.Document(ctx, o.document())
	if err != nil || bytes.Equal(saved, o.saved) {
		return err
	}
	var p progress
	if err := json.Unmarshal(saved, &p); err != nil {
		return fmt.Errorf("read the document %s: %w", o.document(), err)
	}
	o.setProgress(p, saved)
	return nil
}

// saveProgress saves the progress together with the audit entries about it. Conflict if
// another process has saved something since loadProgress.
func (o *operation) saveProgress(ctx context.Context, p progress, entries ...audit.Entry) error {
	for i := range entries {
		entries[i].Agreement = o.text.ID
		if len(o.text.ReportRules) > 0 && entries[i].Article == "" {
			entries[i].Article = o.text.ReportRules[0].Article
		}
	}
	content, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := o.runner.store.AmendDocument(ctx, o.document(), func(old []byte) ([]byte, []audit.Entry, error) {
		if !bytes.Equal(old, o.saved) {
			return nil, nil, taxii.Errorf(taxii.Conflict, "somebody else has just changed %s: try again", o.text.ID)
		}
		return content, entries, nil
	}); err != nil {
		return err
	}
	o.setProgress(p, content)
	return nil
}

// setProgress sets the progress, which the store has as saved, and drops what was made with
// the one before.
func (o *operation) setProgress(p progress, saved []byte) {
	o.progress, o.saved, o.reports = p, saved, nil
	o.dropSituation()
}
