package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"comity/stix"
	"comity/store/atomicfile"
	"comity/taxii/admin"
	"comity/taxii/agreement"
	"comity/taxii/exchange"
)

type agreementNewCmd struct {
	ID        string   `placeholder:"ID" help:"Id of the agreement."`
	Centre    string   `placeholder:"ORG" help:"The centre; that of the data folder, if there is one."`
	Partner   []string `placeholder:"ORG" help:"The other parties; names and countries are taken from the data folder."`
	Sender    []string `placeholder:"ORG" help:"The partners that send; without it, all."`
	Reader    []string `placeholder:"ORG" help:"The partners that read what others send, beside the centre; without it, nobody."`
	Effective string   `placeholder:"T" help:"When it takes effect."`
	Expires   string   `placeholder:"T" help:"When it ends."`
	Unmarked  string   `placeholder:"LABEL" help:"What becomes of the partners' objects without TLP marking: green, amber, amber+strict or red, or reject."`
	Onward    []string `placeholder:"KIND" help:"Kinds of organisation that the centre may pass on to what it has fused; without it, nobody."`
	Output    string   `short:"o" placeholder:"FILE" help:"New file to write; stdout without it."`
}

// Run asks on standard error for each value that no flag gives; an empty line takes the
// proposal in brackets.
func (c *agreementNewCmd) Run(sh *shell) error {
	if _, err := os.Lstat(c.Output); c.Output != "" && err == nil {
		return fmt.Errorf("%s exists already: choose another file, or remove it", c.Output)
	}
	draft, err := c.draft(sh)
	if err != nil {
		return err
	}
	text, err := agreement.New(draft)
	if err != nil {
		return err
	}
	if c.Output == "" {
		_, err = sh.document.Write(text)
		return err
	}
	if err := atomicfile.Create(c.Output, 0o644, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
		return err
	}
	sh.say("%s written; read it, have it signed, then run comity agreement load %s", c.Output, c.Output)
	return nil
}

// nobody is the answer that names no organisation and no kind.
const nobody = "nobody"

// draft asks for each value that no flag gives.
func (c *agreementNewCmd) draft(sh *shell) (d agreement.Draft, err error) {
	orgs, err := sh.knownOrgs()
	if err != nil {
		return d, err
	}
	ask := &questions{in: bufio.NewReader(sh.in), out: sh.err}
	today := time.Now().UTC().Truncate(24 * time.Hour)

	ask.one(c.Centre, question{text: "Organisation id of the centre", proposal: orgs.centre, accept: func(id string) error {
		if orgs.centre != "" && id != orgs.centre {
			return fmt.Errorf("the centre of this data folder is %s", orgs.centre)
		}
		d.Centre = orgs.party(id)
		return orgs.check(id)
	}})
	partners := orgs.others(d.Centre.Org)
	ask.one(strings.Join(c.Partner, ","), question{text: "Organisation ids of the partners, with commas", choices: partners, accept: func(answer string) error {
		ids, err := names(answer, orgs.check)
		d.Partners = nil
		for _, id := range ids {
			if id == d.Centre.Org {
				return fmt.Errorf("%s is the centre: name the other parties", id)
			}
			d.Partners = append(d.Partners, orgs.party(id))
		}
		if err == nil && len(ids) == 0 {
			return errors.New("name at least one")
		}
		return err
	}})
	ids := make([]string, len(d.Partners))
	for i, p := range d.Partners {
		ids[i] = p.Org
	}
	partner := func(id string) error {
		if !slices.Contains(ids, id) {
			return fmt.Errorf("%s is no partner: choose of %s", id, strings.Join(ids, ", "))
		}
		return nil
	}
	if len(ids) > 1 || c.Sender != nil || c.Reader != nil {
		ask.one(strings.Join(c.Sender, ","), question{text: "Partners that send to the centre", choices: ids, proposal: strings.Join(ids, ","), accept: func(answer string) (err error) {
			if d.Senders, err = names(answer, partner); err == nil && len(d.Senders) == 0 {
				return errors.New("name at least one")
			}
			return err
		}})
		ask.one(strings.Join(c.Reader, ","), question{text: "Partners that read what the others send", choices: append([]string{nobody}, ids...), proposal: nobody, accept: func(answer string) (err error) {
			d.Readers, err = names(answer, partner)
			return err
		}})
	}
	ask.one(c.ID, question{text: "Id of the agreement", proposal: fmt.Sprintf("dea-%d-%s", today.Year(), strings.Join(ids, "-")), accept: func(id string) error {
		if slices.Contains(orgs.agreements, id) {
			return fmt.Errorf("%s is deposited already: to amend it, edit what comity agreement show %[1]s --text prints", id)
		}
		d.ID = id
		return agreement.CheckID(id)
	}})
	ask.one(c.Effective, question{text: "Takes effect on", proposal: today.Format(time.DateOnly), accept: func(answer string) (err error) {
		d.Effective, err = requiredTime(answer)
		return err
	}})
	ask.one(c.Expires, question{text: "Ends on", proposal: d.Effective.AddDate(3, 0, 0).Format(time.DateOnly), accept: func(answer string) (err error) {
		d.Expires, err = requiredTime(answer)
		if err == nil && !d.Expires.After(d.Effective) {
			err = fmt.Errorf("it takes effect on %s: choose a later day", d.Effective.Format(time.DateOnly))
		}
		return err
	}})
	ask.one(c.Unmarked, question{
		text:    "TLP label of what the partners send without one; reject refuses it, and observables that no labelled object refers to",
		choices: []string{"green", "amber", "amber+strict", "red", agreement.Reject}, proposal: stix.Amber.String(),
		accept: func(answer string) error {
			label := strings.TrimPrefix(strings.ToLower(answer), "tlp:")
			if label != agreement.Reject {
				label = "default:" + label
			}
			return d.Unmarked.UnmarshalText([]byte(label))
		},
	})
	ask.one(strings.Join(c.Onward, ","), question{
		text: "Kinds of organisation that the centre may pass on to what it has fused", choices: append([]string{nobody}, exchange.Kinds...), proposal: nobody,
		accept: func(answer string) (err error) {
			d.OnwardTo, err = names(answer, func(kind string) error {
				if !slices.Contains(exchange.Kinds, kind) {
					return fmt.Errorf("%q is no kind: choose of %s", kind, strings.Join(exchange.Kinds, ", "))
				}
				return nil
			})
			return err
		},
	})
	return d, ask.err
}

// requiredTime reads a day or a time.
func requiredTime(s string) (time.Time, error) {
	t, err := parseTime(s)
	if err != nil || t == nil {
		return time.Time{}, fmt.Errorf("%q is no day: write it as 2027-01-31", s)
	}
	return *t, nil
}

// names splits a list and checks each name; nobody is an empty list.
func names(answer string, check func(name string) error) (list []string, err error) {
	for _, name := range strings.FieldsFunc(answer, func(r rune) bool { return r == ',' || r == ' ' }) {
		if name == nobody {
			continue
		}
		if err := check(name); err != nil {
			return nil, err
		}
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list, nil
}

// questions asks a person, or a file of answers, until there is an error.
type questions struct {
	in  *bufio.Reader
	out io.Writer
	err error
}

// question is asked until its answer is accepted.
type question struct {
	text     string
	choices  []string // shown, if there are any
	proposal string   // the answer of an empty line, if any
	accept   func(answer string) error
}

// one asks a question, or takes the answer of a flag. It repeats the question until the
// answer is accepted; an answer of a flag that is not accepted is an error.
func (q *questions) one(given string, asked question) {
	if q.err != nil {
		return
	}
	if given != "" {
		if q.err = asked.accept(given); q.err != nil {
			q.err = fmt.Errorf("%s: %w", asked.text, q.err)
		}
		return
	}
	text := asked.text
	if len(asked.choices) > 0 {
		text += " (" + strings.Join(asked.choices, ", ") + ")"
	}
	if asked.proposal != "" {
		text += " [" + asked.proposal + "]"
	}
	var wrong error // with the last answer
	for {
		fmt.Fprintf(q.out, "%s: ", text)
		line, err := q.in.ReadString('\n')
		if errors.Is(err, io.EOF) {
			fmt.Fprintln(q.out)
		}
		switch answer := cmp.Or(strings.TrimSpace(line), asked.proposal); {
		case err != nil && !errors.Is(err, io.EOF):
			q.err = err
			return
		case err != nil && line == "" && wrong != nil: // the input has ended: report the last error
		case answer == "":
			wrong = errors.New("an answer is needed")
		default:
			wrong = asked.accept(answer)
		}
		switch {
		case wrong == nil:
			return
		case err != nil:
			q.err = fmt.Errorf("%s: %w", asked.text, wrong)
			return
		}
		fmt.Fprintf(q.out, "  %s\n", wrong)
	}
}

// knownOrgs are the organisations and agreements of the data folder, so that a draft need
// not ask for names. It is empty if there is no folder.
type knownOrgs struct {
	centre     string
	byID       map[string]exchange.Organisation
	agreements []string // ids
}

func (sh *shell) knownOrgs() (known knownOrgs, err error) {
	known.byID = map[string]exchange.Organisation{}
	list, err := call[[]exchange.Organisation](sh, "org/list", nil)
	if errors.As(err, new(noStore)) {
		return known, nil
	} else if err != nil {
		return known, err
	}
	for _, o := range list {
		if known.byID[o.ID] = o; o.Kind == "international-body" && known.centre == "" {
			known.centre = o.ID
		}
	}
	deposited, err := call[[]admin.Agreement](sh, "agreement/list", nil)
	for _, a := range deposited {
		known.agreements = append(known.agreements, a.ID)
	}
	return known, err
}

// others are the ids of all organisations but the centre.
func (k knownOrgs) others(centre string) []string {
	ids := slices.Sorted(maps.Keys(k.byID))
	return slices.DeleteFunc(ids, func(id string) bool { return id == centre })
}

// check refuses a malformed id and, if there is a data folder, an organisation that is
// not in it.
func (k knownOrgs) check(id string) error {
	if _, ok := k.byID[id]; ok || len(k.byID) == 0 {
		return agreement.CheckID(id)
	}
	return fmt.Errorf("there is no organisation %q: choose of %s, or add it with comity org add", id, strings.Join(slices.Sorted(maps.Keys(k.byID)), ", "))
}

func (k knownOrgs) party(id string) agreement.Party {
	o := k.byID[id]
	return agreement.Party{Org: id, Kind: o.Kind, Name: o.Name, Country: o.Country}
}

// key is the registered key of an organisation, "" if none is known.
func (k knownOrgs) key(id string) string { return k.byID[id].Key }
