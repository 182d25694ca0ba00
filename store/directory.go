package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// ReadDirectory returns the directory that is stored in those records, by name: "centre", or
// the kind, a slash and the id.
func ReadDirectory(records map[string][]byte) (*exchange.Directory, error) {
	d := &exchange.Directory{
		Organisations: map[string]*exchange.Organisation{},
		Accounts:      map[string]*exchange.Account{},
		Tokens:        map[string]*exchange.Token{},
		Agreements:    map[string]*exchange.Deposit{},
		Shut:          map[string]time.Time{},
		Feeds:         map[string]*exchange.Feed{},
		Links:         map[string]*exchange.Link{},
	}
	for name, record := range records {
		var err error
		kind, id, _ := strings.Cut(name, "/")
		switch kind {
		case "centre":
			err = json.Unmarshal(record, &d.Centre)
		case "organisation":
			err = unmarshalInto(d.Organisations, id, record)
		case "account":
			err = unmarshalInto(d.Accounts, id, record)
		case "token":
			err = unmarshalInto(d.Tokens, id, record)
		case "agreement":
			err = unmarshalInto(d.Agreements, id, record)
		case "feed":
			err = unmarshalInto(d.Feeds, id, record)
		case "link":
			err = unmarshalInto(d.Links, id, record)
		case "shut":
			var since time.Time
			err = json.Unmarshal(record, &since)
			d.Shut[id] = since
		}
		if err != nil {
			return nil, Damaged("%s in the directory: %w", name, err)
		}
	}
	return d, nil
}

func unmarshalInto[T any](into map[string]*T, id string, record []byte) error {
	v := new(T)
	into[id] = v
	return json.Unmarshal(record, v)
}

// directoryRecords is the inverse of ReadDirectory.
func directoryRecords(d *exchange.Directory) (map[string][]byte, error) {
	records := map[string][]byte{}
	var errs []error
	put := func(name string, v any) {
		b, err := json.Marshal(v)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		records[name] = b
	}
	if d.Centre != (exchange.Centre{}) {
		put("centre", d.Centre)
	}
	for id, v := range d.Organisations {
		put("organisation/"+id, v)
	}
	for id, v := range d.Accounts {
		put("account/"+id, v)
	}
	for id, v := range d.Tokens {
		put("token/"+id, v)
	}
	for id, v := range d.Agreements {
		put("agreement/"+id, v)
	}
	for key, v := range d.Feeds {
		put("feed/"+key, v)
	}
	for name, v := range d.Links {
		put("link/"+name, v)
	}
	for id, since := range d.Shut {
		put(shutPrefix+id, since)
	}
	return records, errors.Join(errs...)
}

// nameChanged names the records that differ in the entries: an agreement in the entry that
// is about it, since each entry is exported to the parties of its agreement only, and
// everything else in the first entry. The record of the centre is not named.
func nameChanged(entries []audit.Entry, before, after map[string][]byte) error {
	if len(entries) == 0 {
		return nil
	}
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		kind, id, named := strings.Cut(name, "/")
		if !named || bytes.Equal(before[name], after[name]) {
			continue
		}
		s, err := audit.SubjectOf(name, after[name])
		if err != nil {
			return err
		}
		e := &entries[0]
		if kind == "agreement" {
			if i := slices.IndexFunc(entries, func(e audit.Entry) bool { return e.Agreement == id }); i > 0 {
				e = &entries[i]
			}
		}
		e.Subjects = append(e.Subjects, s)
	}
	return nil
}

// shutPrefix begins the names of the records of shut collections.
const shutPrefix = "shut/"

// ShutName is the name of the record that says that a collection is shut.
func ShutName(collection uuid.UUID) string { return shutPrefix + collection.String() }

// CheckOpen returns NotFound if the directory has shut the collection. It is called in the
// transaction, since a grant may be older than the withdrawal that shut it. record returns a
// record of the directory; nil if there is none.
func CheckOpen(collection uuid.UUID, record func(name string) []byte) error {
	if record(ShutName(collection)) != nil {
		return taxii.Errorf(taxii.NotFound, "there is no such collection, or not for you")
	}
	return nil
}

// CallerNames are the names of the records that CheckCaller reads.
func CallerNames(caller exchange.Principal) []string {
	return []string{"account/" + caller.Account, "organisation/" + caller.Org, "token/" + caller.Token}
}

// CheckCaller returns Unauthorized if the account, token or organisation of the caller
// may no longer be used. It is called in the transaction, since the grant is older. record
// returns a record of the directory; nil if there is none. A caller that the directory does
// not have is the operator.
func CheckCaller(caller exchange.Principal, now time.Time, record func(name string) []byte) error {
	var (
		account      exchange.Account
		organisation exchange.Organisation
		token        exchange.Token
	)
	for i, name := range CallerNames(caller) {
		if text := record(name); text != nil {
			if err := json.Unmarshal(text, []any{&account, &organisation, &token}[i]); err != nil {
				return Damaged("%s in the directory: %w", name, err)
			}
		}
	}
	if !account.Usable(now) || !token.Usable(now) || organisation.Suspended {
		return taxii.Errorf(taxii.Unauthorized, "these credentials open nothing here")
	}
	return nil
}
