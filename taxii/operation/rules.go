package operation

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"comity/stix"
	"comity/stix/fusion"
	"comity/stix/report"
	"comity/taxii"
	"comity/taxii/exchange"
)

// loadRules makes the rules of fusion from the [fusion] block of the agreement.
func (o *operation) loadRules() error {
	f := o.text.Fusion
	r := &fusion.Rules{
		At: day(o.runner.now()), Merge: slices.Contains(f.Merge, "single-resolution"),
		Government: f.GovernmentHosts, Confidence: map[int]int{}, TestSuffix: "example",
	}
	if f.Window != nil {
		r.From, r.To = f.Window.From, f.Window.To
	}
	if o.text.Scope != nil {
		r.Countries = o.text.Scope.Countries
	}
	for _, basis := range f.CountryOrder {
		r.Order = append(r.Order, fusion.Basis(basis))
	}
	r.SiteOrder = r.Order
	if f.WebsiteCountry == "owner" {
		r.SiteOrder = append([]fusion.Basis{fusion.ByOwner}, r.Order...)
	}
	for origins, percent := range f.Confidence {
		n, err := strconv.Atoi(origins)
		if err != nil {
			return taxii.Errorf(taxii.Invalid, "article %s of %s: confidence: %q is no number of origins", f.Article, o.text.ID, origins)
		}
		r.Confidence[n] = int(percent)
	}
	var reserved []netip.Prefix
	for _, text := range f.AllowReserved {
		reserved = append(reserved, netip.MustParsePrefix(text)) // the parser of agreements has checked it
	}
	r.Reserved = fusion.NetworksOf(reserved...)
	o.rules, o.tables = r, nil
	if f.Geo != "" {
		if err := o.readTable(f.Geo, func(in io.Reader) (err error) { r.Geo, err = fusion.ReadGeo(in); return err }); err != nil {
			return err
		}
	}
	var lists bytes.Buffer
	for _, name := range f.WarningLists {
		if err := o.readTable(name, func(in io.Reader) error {
			_, err := lists.ReadFrom(in)
			lists.WriteByte('\n')
			return err
		}); err != nil {
			return err
		}
	}
	var err error
	r.Warning, err = fusion.ReadWarningList(&lists)
	return err
}

// readTable reads a table that the agreement names, and notes its date, which is that of
// the file, and its digest. Conflict if there is no such file.
func (o *operation) readTable(name string, read func(io.Reader) error) error {
	path := filepath.Join(o.runner.tables, filepath.Base(name))
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return taxii.Errorf(taxii.Conflict, "article %s of %s names the table %s: put it into the folder %s of the data folder", o.text.Fusion.Article, o.text.ID, name, filepath.Base(o.runner.tables))
	}
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(text)
	o.tables = append(o.tables, report.Table{Name: name, Dated: day(info.ModTime()), Digest: hex.EncodeToString(sum[:8])})
	return read(bytes.NewReader(text))
}

// onwardLabel is the label under which bureaus may benefit from objects of a collection
// with the given label; false if they may not benefit from them.
func (o *operation) onwardLabel(c *exchange.Collection, label stix.TLP) (stix.TLP, bool) {
	onward := c.Terms.Onward
	if onward == nil || !slices.Contains(onward.ToKinds, "national-bureau") {
		return 0, false
	}
	as, ok := onward.LeavesAs[label]
	return as.TLP, ok && !as.Never && as.TLP < stix.Red
}
