package feed

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"encoding/base64"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"

	"comity/stix"
)

// pack gathers the rules that others wrote, and keeps their names and numbers apart.
type pack struct {
	*writing
	used map[string]bool
}

// rules yields the rules of a kind that a pack can have, each with its text.
func (p *pack) rules(kind Kind) iter.Seq2[*Entry, string] {
	return func(yield func(*Entry, string) bool) {
		for e := range p.entries {
			if e.Kind != kind || !p.Kinds.Has(kind) {
				continue
			}
			text, names, reason := p.read(e)
			if reason == "" && !p.reserve(names) {
				reason = Duplicate
			}
			if reason == Duplicate && len(p.Duplicates) < maxDuplicates {
				p.Duplicates = append(p.Duplicates, e.IDs[0])
			}
			if reason != "" {
				p.leaveOut(reason)
				continue
			}
			if p.Entries++; !yield(e, text) {
				return
			}
		}
	}
}

// read reads the text of a rule, and the names that it takes in a pack.
func (p *pack) read(e *Entry) (text string, names []string, reason Reason) {
	switch e.Kind {
	case YARA:
		names, reason = yaraRules(e.Text)
	case Sigma:
		var id string
		if id, reason = sigmaID(e.Text); id != "" {
			names = []string{id}
		}
	default:
		rules, sids, why := idsRules(e.Text, e.Kind)
		for _, sid := range sids {
			names = append(names, strconv.FormatUint(uint64(sid), 10))
		}
		return strings.Join(rules, "\n"), names, why
	}
	return strings.TrimRight(e.Text, "\r\n"), names, reason
}

// reserve takes names for a rule, unless another has one of them.
func (p *pack) reserve(names []string) bool {
	for _, name := range names {
		if p.used[name] {
			return false
		}
	}
	for _, name := range names {
		p.used[name] = true
	}
	return true
}

func (w *writing) pack() *pack { return &pack{w, map[string]bool{}} }

// writeYARA writes all rules in one file.
func writeYARA(w *writing) error {
	if _, err := w.Write(w.comments(nil)); err != nil {
		return err
	}
	for e, text := range w.pack().rules(YARA) {
		if _, err := io.WriteString(w, "// "+joinIDs(e.IDs)+"\n"+text+"\n"); err != nil {
			return err
		}
	}
	return nil
}

// zipOf writes a file for each rule, named for its first indicator, such as
// indicator_8e2e2d2b_17d4_4cbf_938f_98ee46b3cd3f.yml.
func zipOf(kind Kind, ext string) func(*writing) error {
	return func(w *writing) error {
		archive := zip.NewWriter(w)
		for e, text := range w.pack().rules(kind) {
			file, err := archive.CreateHeader(&zip.FileHeader{Name: ruleFile(e) + ext, Method: zip.Deflate, Modified: w.Version.UTC()})
			if err != nil {
				return err
			}
			if _, err := io.WriteString(file, text+"\n"); err != nil {
				return err
			}
		}
		return archive.Close()
	}
}

func ruleFile(e *Entry) string {
	return strings.NewReplacer("--", "_", "-", "_").Replace(strings.ToLower(string(e.firstID())))
}

// writeRules writes rules of Suricata: those made of values, and those that others wrote.
func writeRules(w *writing) error {
	if _, err := w.Write(w.comments(nil)); err != nil {
		return err
	}
	return w.suricata(w, false)
}

// writeRulesArchive writes rules of Suricata, where one rule finds all domains in a data
// set beside it: one base64 text a line. suricata-update looks for data sets in the
// folder of the rules, and finds none in the root of an archive.
func writeRulesArchive(w *writing) error {
	var rules, set bytes.Buffer
	if err := w.suricata(&rules, !w.Subdomains); err != nil {
		return err
	}
	for e := range w.entries {
		if !w.Subdomains && e.Kind == Domain && w.Kinds.Has(Domain) && !isWildcardValue(e.Value) {
			set.WriteString(base64.StdEncoding.EncodeToString([]byte(e.Text)) + "\n")
		}
	}
	out := gzip.NewWriter(w)
	archive := tar.NewWriter(out)
	for _, file := range []struct {
		name string
		text *bytes.Buffer
	}{{w.Feed + "/" + w.Feed + ".rules", &rules}, {w.Feed + "/" + w.dataset(), &set}} {
		if err := archive.WriteHeader(&tar.Header{Name: file.name, Mode: 0o644, Size: int64(file.text.Len()), ModTime: w.Version.UTC(), Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		if _, err := archive.Write(file.text.Bytes()); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	return out.Close()
}

// RuleProblem is why rule packs leave the rule of an indicator out whatever else they have: Broken
// or Unsafe. It is "" if they do not, and for objects whose pattern is no rule.
func RuleProblem(o stix.Object) Reason {
	in, reason := new(Extractor).Extract(o)
	if reason != "" || len(in.Values) != 1 || !rulePatterns.Has(in.Values[0].Kind) {
		return ""
	}
	_, _, reason = new(pack).read(&Entry{Value: in.Values[0]})
	return reason
}
