package feed

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"comity/stix"
	stixfeed "comity/stix/feed"
	"comity/taxii"
	"comity/taxii/agreement"
)

// Definition is a feed file: the question that a feed asks. It opens nothing, since a feed
// holds only what its account may read.
type Definition struct {
	Format        string   `toml:"format"` // "feed/1"
	ID            string   `toml:"id"`
	Account       string   `toml:"account"`        // "org/name"
	Use           string   `toml:"use"`            // what the tool does: search, lookup, block or notify
	Collections   []string `toml:"collections"`    // ids or aliases; "*" for all that the account may read
	NeverBlock    []string `toml:"never_block"`    // addresses, networks, domains and other values that are never listed
	AllowReserved []string `toml:"allow_reserved"` // reserved networks that are listed all the same
	Query         Query    `toml:"query"`
	Entries       Entries  `toml:"entries"`
	RPZ           Resolver `toml:"rpz"`
	Webhook       Receiver `toml:"webhook"`

	never  *stixfeed.NeverBlock
	kinds  stixfeed.Kinds
	digest string // of the file, shortened
}

// Query selects indicators. A key that is left out selects all.
type Query struct {
	MinConfidence     int                 `toml:"min_confidence"`     // 0 to 100
	UnknownConfidence string              `toml:"unknown_confidence"` // "include" or "exclude" indicators without one
	Types             []string            `toml:"types"`              // indicator_types of which one is enough
	Labels            []string            `toml:"labels"`             // labels of which one is enough
	NotStatus         []string            `toml:"not_status"`         // reported outcomes, such as disputed
	TLPMax            *stix.TLP           `toml:"tlp_max"`
	MaxAge            *agreement.Duration `toml:"max_age"` // since modified

	statuses []string // the labels of NotStatus
}

// Entries says what becomes of the values of the indicators.
type Entries struct {
	Kinds      []string                      `toml:"kinds"`        // such as ipv4; without it, all
	Subdomains bool                          `toml:"subdomains"`   // a domain stands for the names below it too
	Wildcards  bool                          `toml:"wildcards"`    // take LIKE '%.bad.example' for the names below bad.example
	Lifetime   map[string]agreement.Duration `toml:"lifetime"`     // by kind, since modified, of indicators without valid_until
	Max        int                           `toml:"max"`          // entries in one list, the most certain and newest; 0 for all
	Merge      string                        `toml:"merge"`        // "covered" leaves out entries that another includes, "none" keeps them
	MayBeEmpty bool                          `toml:"may_be_empty"` // an empty list is served; otherwise it is an alarm
}

// outcomes are those that an agreement lets parties report of a finding: see [agreement.Feedback].
var outcomes = []string{"in-progress", "taken-down", "sinkholed", "seized", "unreachable", "disputed", "no-action"}

// defaultLifetime is the lifetime of kinds for which the file has none.
const defaultLifetime = 90 * 24 * time.Hour

// ParseDefinition reads a feed file. name is that of the file, for the errors, which are
// Invalid and name the place.
func ParseDefinition(name string, source []byte) (*Definition, error) {
	d := &Definition{}
	decoder := toml.NewDecoder(bytes.NewReader(source)).DisallowUnknownFields()
	if err := decoder.Decode(d); err != nil {
		return nil, taxii.Errorf(taxii.Invalid, "%s", decodeProblem(name, err))
	}
	if err := d.check(); err != nil {
		key := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == ':' || r == ' ' })[0]
		if line := agreement.Lines(source)[key]; line > 0 { // it is not missing
			name = fmt.Sprintf("%s:%d", name, line)
		}
		return nil, taxii.Errorf(taxii.Invalid, "%s: %s", name, err)
	}
	digest := sha256.Sum256(source)
	d.digest = hex.EncodeToString(digest[:16])
	return d, nil
}

// decodeProblem is an error of the decoder with its place.
func decodeProblem(name string, err error) string {
	var unknown *toml.StrictMissingError
	var at *toml.DecodeError
	switch {
	case errors.As(err, &unknown):
		at = &unknown.Errors[0]
		line, column := at.Position()
		return fmt.Sprintf("%s:%d:%d: unknown key %s", name, line, column, strings.Join(at.Key(), "."))
	case errors.As(err, &at):
		line, column := at.Position()
		problem := strings.TrimPrefix(at.Error(), "toml: ")
		if typed, ok := strings.CutPrefix(problem, "cannot decode TOML "); ok { // the rest names types of Go
			found, _, _ := strings.Cut(typed, " into ")
			problem = fmt.Sprintf("a value of the type %s does not fit: comity help feed has an example", found)
		}
		if key := strings.Join(at.Key(), "."); key != "" {
			problem = key + ": " + problem
		}
		return fmt.Sprintf("%s:%d:%d: %s", name, line, column, problem)
	}
	return fmt.Sprintf("%s: %s", name, err)
}

// check refuses values out of range, and sets the defaults. An error begins with the path of the
// key.
func (d *Definition) check() error {
	if d.Format != "feed/1" {
		return fmt.Errorf("format: %q is not known; write format = \"feed/1\"", d.Format)
	}
	for key, value := range map[string]string{"id": d.ID, "account": d.Account, "use": d.Use} {
		if value == "" {
			return fmt.Errorf("%s is missing", key)
		}
	}
	if len(d.Collections) == 0 {
		return errors.New(`collections is missing; write collections = ["*"] for all that the account may read`)
	}
	q, e := &d.Query, &d.Entries
	q.UnknownConfidence, e.Merge = cmp.Or(q.UnknownConfidence, "include"), cmp.Or(e.Merge, "covered")
	switch {
	case q.MinConfidence < 0 || q.MinConfidence > 100:
		return fmt.Errorf("query.min_confidence: %d: write a number from 0 to 100", q.MinConfidence)
	case !slices.Contains([]string{"include", "exclude"}, q.UnknownConfidence):
		return fmt.Errorf("query.unknown_confidence: %q is neither include nor exclude", q.UnknownConfidence)
	case !slices.Contains([]string{"covered", "none"}, e.Merge):
		return fmt.Errorf("entries.merge: %q is neither covered nor none", e.Merge)
	case e.Max < 0:
		return fmt.Errorf("entries.max: %d: write a number from 1, or leave it out", e.Max)
	}
	for _, name := range e.Kinds {
		kind, ok := stixfeed.ParseKind(name)
		if !ok {
			return fmt.Errorf("entries.kinds: %q is no kind%s", name, hint(name))
		}
		d.kinds |= stixfeed.KindsOf(kind)
	}
	if len(e.Kinds) == 0 {
		d.kinds = ^stixfeed.Kinds(0)
	}
	for name := range e.Lifetime {
		if _, ok := stixfeed.ParseKind(name); !ok {
			return fmt.Errorf("entries.lifetime: %q is no kind%s", name, hint(name))
		}
	}
	for _, status := range q.NotStatus {
		if !slices.Contains(outcomes, status) {
			return fmt.Errorf("query.not_status: %q is none of %s", status, strings.Join(outcomes, ", "))
		}
		q.statuses = append(q.statuses, "status:"+status)
	}
	var allowed []netip.Prefix
	for _, text := range d.AllowReserved {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("allow_reserved: %q is no network: write it as 198.18.0.0/15", text)
		}
		allowed = append(allowed, network.Masked())
	}
	if err := cmp.Or(d.RPZ.check(), d.Webhook.check()); err != nil {
		return err
	}
	var err error
	if d.never, err = stixfeed.NewNeverBlock(true, allowed, d.NeverBlock); err != nil {
		return fmt.Errorf("never_block: %s", strings.TrimPrefix(err.Error(), "never block: "))
	}
	return nil
}

// hint suggests the kind nearest to a name.
func hint(name string) string {
	var names []string
	for kind := range (^stixfeed.Kinds(0)).All() {
		names = append(names, kind.String())
	}
	return cmp.Or(stix.DidYouMean(name, slices.Values(names)), ": it is none of "+strings.Join(names, ", "))
}

// active is the time from which and until which an indicator makes its values of a kind
// active, in µs since 1970. until is exclusive.
func (d *Definition) active(c *claim, kind stixfeed.Kind) (from, until int64) {
	until = c.until
	if until == noTime {
		until = c.modified + defaultLifetime.Microseconds()
		if lifetime, ok := d.Entries.Lifetime[kind.String()]; ok {
			until = lifetime.After(timeOf(c.modified)).UnixMicro()
		}
	}
	if d.Query.MaxAge != nil {
		until = min(until, d.Query.MaxAge.After(timeOf(c.modified)).UnixMicro())
	}
	return c.from, until
}

// leftOut is the reason why the question does not select an indicator; "" if it does.
func (d *Definition) leftOut(c *claim) stixfeed.Reason {
	q := &d.Query
	switch {
	case c.reason != "":
		return c.reason
	case c.confidence == stixfeed.Unknown && q.UnknownConfidence == "exclude",
		c.confidence != stixfeed.Unknown && c.confidence < q.MinConfidence:
		return lowConfidence
	case q.Types != nil && !c.types().has(q.Types):
		return otherType
	case q.Labels != nil && !c.labels().has(q.Labels):
		return otherLabel
	case q.TLPMax != nil && c.tlp > *q.TLPMax:
		return aboveTLP
	case q.NotStatus != nil && c.labels().has(q.statuses):
		return reportedStatus
	case c.wildcard && !d.Entries.Wildcards:
		return stixfeed.Operator
	}
	return ""
}

// The reasons for which the question of a feed leaves an indicator out, beside those of
// stix/feed.
const (
	lowConfidence  stixfeed.Reason = "confidence"
	otherType      stixfeed.Reason = "type"
	otherLabel     stixfeed.Reason = "label"
	aboveTLP       stixfeed.Reason = "tlp"
	reportedStatus stixfeed.Reason = "status"
	noValidUntil   stixfeed.Reason = "no-valid-until"
	inactive       stixfeed.Reason = "inactive" // before valid_from, or at the end of its validity
	vetoed         stixfeed.Reason = "vetoed"   // another indicator names the value benign
	tooLarge       stixfeed.Reason = "too-large"
)
