package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"comity/store/atomicfile"
	"comity/taxii"
	"comity/taxii/admin"
	"comity/taxii/audit"
)

type auditArchiveCmd struct {
	Before string   `required:"" placeholder:"T" help:"Entries up to the last checkpoint signed before this time or day."`
	Output string   `short:"o" required:"" placeholder:"FILE" help:"File to write. One that is there already, of an earlier run, is verified again and stays."`
	Key    []string `placeholder:"ed25519:…" sep:"none" help:"A public key that the centre signed with before its present one. Again for more."`

	confirmation `embed:""`
}

// Run removes only entries that are in a verified file on the disk. A run that was
// interrupted can be repeated.
func (c *auditArchiveCmd) Run(sh *shell) error {
	before, err := requiredTime(c.Before)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(c.Output); errors.Is(err, fs.ErrNotExist) {
		if err := c.export(sh, taxii.FormatTime(before)); err != nil {
			return err
		}
	} else if err != nil {
		return err
	} else {
		sh.say("%s is there already: its entries are the ones to drop", c.Output)
	}
	proved, err := sh.verifyExport(c.Output, nil, c.Key)
	if err != nil {
		return about(c.Output, err)
	}
	if proved.Whole != proved.Entries {
		return fmt.Errorf("%s: entries are digests in it, so it is no archive: name another file", c.Output)
	}
	if err := syncFile(c.Output); err != nil {
		return err
	}
	drop := c.agreed(sh, fmt.Sprintf("%s, now in %s, will be dropped from the record for good", plural(proved.Entries, "entry", "entries"), c.Output))
	result := struct {
		File    string `json:"file"`
		After   uint64 `json:"after"`
		Entries int    `json:"entries"`
		Dropped bool   `json:"dropped"`
	}{c.Output, proved.Header.Seal.Number, proved.Entries, drop}
	if drop {
		if _, err := call[audit.SignedCheckpoint](sh, "audit/drop", admin.DropArchived{
			After: result.After, Number: proved.Head.Number, Hash: hex.EncodeToString(proved.Head.Hash[:]),
		}); err != nil {
			return about(c.Output, err)
		}
		sh.say("run comity compact to make the store smaller")
	} else {
		sh.say("nothing was dropped: keep the file in a safe place, then run the same command with --yes")
	}
	return sh.print(result, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s\n", result.File, entries(uint64(result.Entries), result.After))
	})
}

// export writes the file.
func (c *auditArchiveCmd) export(sh *shell, before string) error {
	answer, err := sh.stream("audit/archive", url.Values{"before": {before}})
	if err != nil {
		return err
	}
	defer answer.Close()
	bar := sh.progress(-1, "exporting")
	defer bar.Close()
	return atomicfile.Create(c.Output, 0o600, func(w io.Writer) error {
		if _, err := io.Copy(io.MultiWriter(w, bar), answer); err != nil {
			return fmt.Errorf("the export broke off, comity audit verify tells whether the record is whole: %w", err)
		}
		return nil
	})
}

// syncFile syncs a file and its directory entry to the disk.
func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), atomicfile.SyncFolder(filepath.Dir(name)))
}
