package main

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"

	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/audit"
)

type auditCmd struct {
	List    auditListCmd    `cmd:"" help:"List entries of the audit record."`
	Verify  auditVerifyCmd  `cmd:"" help:"Follow the chain of the record, or of an export on any machine."`
	Export  auditExportCmd  `cmd:"" help:"Write the record for one party: its lines whole, the others as digests."`
	Archive auditArchiveCmd `cmd:"" help:"Move old entries of the record into a file, which verifies with the rest."`
}

type auditListCmd struct {
	Since *uint64 `placeholder:"N" help:"Entries after this number; without it, the last ones."`
	Limit int     `default:"100" placeholder:"N" help:"How many at most (default ${default})."`
}

func (c *auditListCmd) Run(sh *shell) error {
	list, err := call[[]audit.Entry](sh, "audit/list", admin.AuditEntries{Since: c.Since, Limit: c.Limit})
	if err != nil {
		return err
	}
	return printTable(sh, list, "number,time,act,who,what", list, func(e audit.Entry) []any {
		return []any{e.Number, taxii.FormatTime(e.Time), e.Act, accountOf(e), details(e)}
	})
}

// accountOf is the account of an entry, with the home organisation of a seconded person and
// the user who ran a command as the account.
func accountOf(e audit.Entry) string {
	who := cmp.Or(e.Account, e.Org, "-")
	if e.Home != "" {
		who += " of " + e.Home
	}
	if e.Operator != "" {
		who += " by " + e.Operator
	}
	return who
}

// details is the rest of an entry as one line.
func details(e audit.Entry) string {
	var text []string
	add := func(format string, args ...any) { text = append(text, fmt.Sprintf(format, args...)) }
	if e.Text != "" {
		add("%s", e.Text)
	}
	if e.Feed != "" {
		add("feed %s", e.Feed)
	}
	if e.Remote != "" {
		add("from %s", e.Remote)
	}
	if e.Count > 0 {
		add("%d counted", e.Count)
	}
	if e.Refused > 0 {
		add("%d refused", e.Refused)
	}
	switch {
	case e.Article != "":
		add("article %s of %s", strings.TrimPrefix(e.Article, "article "), e.Agreement)
	case e.Agreement != "":
		add("%s", e.Agreement)
	}
	return strings.Join(text, "; ")
}

type auditVerifyCmd struct {
	Files       []string `arg:"" optional:"" name:"file" help:"Exports; of several, each has to begin where the one before ends. Without one, the record of the data folder."`
	Record      bool     `help:"The record of the data folder too: it has to begin where the last file ends."`
	Checkpoints []string `placeholder:"FILE" sep:"none" help:"What a witness kept: the notes with checkpoints, or their lines. Again for more."`
	Key         []string `placeholder:"ed25519:…" sep:"none" help:"A public key that the centre signed with, beside the one in the export. Again for more."`
}

func (c *auditVerifyCmd) Run(sh *shell) error {
	if len(c.Files) == 0 {
		if len(c.Checkpoints)+len(c.Key) > 0 {
			return errors.New("checkpoints and keys are held against an export: give its file too")
		}
		return sh.verifyRecord(nil)
	}
	var checkpoints []audit.SignedCheckpoint
	for _, name := range c.Checkpoints {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		found, err := audit.ParseCheckpoints(f)
		f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		checkpoints = append(checkpoints, found...)
	}
	var last *audit.Verified
	agree := 0
	for _, file := range c.Files {
		proved, err := sh.verifyExport(file, checkpoints, c.Key)
		if err == nil && last != nil {
			err = proved.Follows(*last)
		}
		if err != nil {
			return about(file, err)
		}
		last, agree = &proved, agree+proved.Checkpoints
		result := struct {
			File        string       `json:"file"`
			Header      audit.Header `json:"header"`
			Entries     int          `json:"entries"`
			Whole       int          `json:"whole"`
			Checkpoints int          `json:"checkpoints"`
			Hash        string       `json:"hash"`
		}{file, proved.Header, proved.Entries, proved.Whole, proved.Checkpoints, hex.EncodeToString(proved.Head.Hash[:])}
		if err := sh.print(result, func(w io.Writer) {
			fmt.Fprintf(w, "%s: record of %s for %s, %s, %d of them whole, %d checkpoints agree, head %s\n", file,
				result.Header.Centre, result.Header.Party, entries(uint64(result.Entries), result.Header.Seal.Number), result.Whole, result.Checkpoints, result.Hash)
		}); err != nil {
			return err
		}
	}
	if agree == 0 {
		sh.say("no checkpoint was held against it, so it shows only that its lines belong together")
	}
	if c.Record {
		return sh.verifyRecord(last)
	}
	return nil
}

// entries is the number of entries as text, with the number of the last archived entry
// if there is one.
func entries(n, sealed uint64) string {
	if sealed == 0 {
		return fmt.Sprintf("%d entries", n)
	}
	return fmt.Sprintf("%d entries after entry %d", n, sealed)
}

// verifyExport verifies one file.
func (sh *shell) verifyExport(file string, checkpoints []audit.SignedCheckpoint, keys []string) (audit.Verified, error) {
	f, err := sh.input(file)
	if err != nil {
		return audit.Verified{}, err
	}
	defer f.Close()
	bar := sh.progress(-1, "verifying")
	defer bar.Close()
	return audit.Verify(io.TeeReader(f, bar), checkpoints, keys...)
}

// verifyRecord verifies the chain of the data folder. It has to begin where the export
// before ends; before may be nil.
func (sh *shell) verifyRecord(before *audit.Verified) error {
	answer, err := sh.stream("audit/verify", nil)
	if err != nil {
		return err
	}
	defer answer.Close()
	bar := sh.progress(-1, "verifying")
	defer bar.Close()
	var line admin.ChainChecked
	for lines := json.NewDecoder(answer); !line.Done; {
		line = admin.ChainChecked{}
		if err := lines.Decode(&line); err != nil {
			return fmt.Errorf("the check ended early: %w", err)
		}
		bar.Set64(int64(line.Entries))
	}
	if before != nil && line.Fault == "" && (line.Seal.Number != before.Head.Number || line.Seal.Hash != before.Head.Hash) {
		line.Fault = fmt.Sprintf("the record begins after entry %d, and the last file ends with entry %d: it does not follow", line.Seal.Number, before.Head.Number)
	}
	err = sh.print(line, func(w io.Writer) {
		if line.Fault != "" {
			fmt.Fprintln(w, line.Fault)
		}
		fmt.Fprintf(w, "%s follow from each other, head %s\n", entries(line.Entries, line.Seal.Number), line.Hash)
	})
	if err == nil && line.Fault != "" {
		return errQuiet
	}
	return err
}

type auditExportCmd struct {
	Party  string `required:"" placeholder:"ORG" help:"The organisation whose lines are whole."`
	Output string `short:"o" placeholder:"FILE" help:"File to write; stdout without it."`
}

func (c *auditExportCmd) Run(sh *shell) error {
	answer, err := sh.stream("audit/export", url.Values{"party": {c.Party}})
	if err != nil {
		return err
	}
	defer answer.Close()
	write := func(w io.Writer) error {
		if _, err := io.Copy(w, answer); err != nil {
			return fmt.Errorf("the export broke off, comity audit verify tells whether the record is whole: %w", err)
		}
		return nil
	}
	if c.Output == "" {
		return write(sh.document)
	}
	bar := sh.progress(-1, "exporting")
	defer bar.Close()
	return replaceFile(c.Output, func(w io.Writer) error { return write(io.MultiWriter(w, bar)) })
}
