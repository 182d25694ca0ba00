package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"comity/store"
	"comity/store/atomicfile"
	"comity/store/bolt"
	"comity/taxii/admin"
)

type backupCmd struct {
	File string `arg:"" help:"New file, for comity restore. The backup of a data folder can also be opened as comity.db of one."`
}

func (c *backupCmd) Run(sh *shell) error {
	bar := sh.progress(-1, "copying")
	defer bar.Close()
	var n int64
	if err := atomicfile.Create(c.File, 0o600, func(w io.Writer) error {
		answer, err := sh.stream("backup", nil)
		if err != nil {
			return err
		}
		defer answer.Close()
		n, err = io.Copy(io.MultiWriter(w, bar), answer)
		return err
	}); err != nil {
		return err
	}
	return sh.print(map[string]any{"file": c.File, "bytes": n}, func(w io.Writer) {
		fmt.Fprintf(w, "%s\t%s\n", c.File, size(n))
	})
}

// checkBackup returns Invalid unless the file is a backup of any engine without faults.
func checkBackup(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	if !store.IsDump(in) {
		return bolt.CheckBackup(ctx, path)
	}
	for _, err := range store.ReadDump(in) {
		if err := cmp.Or(err, ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

type checkCmd struct{}

// checkReport is the result of a check.
type checkReport struct {
	Records int64    `json:"records"`
	Faults  []string `json:"faults"`
}

func (c *checkCmd) Run(sh *shell) error {
	report, err := c.check(sh)
	if err != nil {
		return err
	}
	if len(report.Faults) == 0 && sh.storeFlags.Store == "" {
		if sh.stopped() != nil {
			sh.say("the list of free pages is not checked while a server runs")
		} else if err := bolt.CheckFreeList(sh.data, lockWait, report.add); err != nil {
			return err
		}
	}
	err = sh.print(report, func(w io.Writer) {
		for _, fault := range report.Faults {
			fmt.Fprintln(w, fault)
		}
		fmt.Fprintf(w, "%d records, %d faults\n", report.Records, len(report.Faults))
	})
	if err == nil && len(report.Faults) > 0 {
		return errQuiet
	}
	return err
}

func (r *checkReport) add(fault string) { r.Faults = append(r.Faults, fault) }

// check checks everything but the list of free pages.
func (c *checkCmd) check(sh *shell) (*checkReport, error) {
	answer, err := sh.stream("check", nil)
	if err != nil {
		return nil, withoutAdvice(err)
	}
	defer answer.Close()
	bar := sh.progress(-1, "checking")
	defer bar.Close()
	report := &checkReport{Faults: []string{}}
	for lines := json.NewDecoder(answer); ; {
		var line admin.Checked
		if err := lines.Decode(&line); err != nil {
			return nil, fmt.Errorf("the check ended early: %w", err)
		}
		report.Records = max(report.Records, line.Records)
		bar.Set64(report.Records)
		if line.Fault != "" {
			report.add(line.Fault)
		}
		if line.Done {
			return report, nil
		}
	}
}

// withoutAdvice removes the advice to run comity check from an error of comity check.
func withoutAdvice(err error) error {
	text, cause, advised := strings.Cut(err.Error(), ": run comity check")
	if !advised {
		return err
	}
	return fmt.Errorf("%s%s: put a backup in its place with comity restore", text, cause)
}

type versionCmd struct{}

// version is the version of this program; "unknown" if it was built without one.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return info.Main.Version
	}
	return "unknown"
}

func (c *versionCmd) Run(sh *shell) error {
	result := map[string]string{"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
	return sh.print(result, func(w io.Writer) {
		fmt.Fprintf(w, "comity %s, %s, %s\n", result["version"], result["go"], result["platform"])
	})
}
