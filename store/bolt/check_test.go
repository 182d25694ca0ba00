package bolt_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"comity/store"
	"comity/store/bolt"
	"comity/taxii"
	"comity/taxii/agreement"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// Check reports a changed byte. Pages leave the damaged record out, so that polls get past
// it. The log says so once.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for n := range 200 {
		mustPush(t, s, indicator(n, 1), indicator(n, 2))
	}
	value, err := s.LiveValue(77)
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, bolt.FileName)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good = good[:(len(bytes.TrimRight(good, "\x00"))+bolt.PageSize-1)/bolt.PageSize*bolt.PageSize]
	at := bytes.Index(good, value)
	for _, row := range []struct {
		name   string
		offset int
	}{{"checksum", 0}, {"type", 5}, {"flags", 6}, {"label", 7}, {"position", 14}, {"object", 300}} {
		t.Run(row.name, func(t *testing.T) {
			bad := bytes.Clone(good)
			bad[at+row.offset] ^= 4
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			s, err := bolt.Open(dir, time.Now, slog.New(slog.NewTextHandler(&log, nil)), time.Second)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			faults := 0
			if err := s.Check(t.Context(), nil, func(string) { faults++ }); err != nil || faults == 0 {
				t.Errorf("check: %d faults, %v", faults, err)
			}
			named := store.Query{Limit: 1000}
			named.IDs = []string{string(indicator(76, 1).Object.ID), string(indicator(77, 1).Object.ID)}
			for _, row := range []struct {
				query store.Query
				want  int
			}{{store.Query{Limit: 1000}, 199}, {store.Query{Limit: 1000, Match: taxii.Match{Versions: taxii.Versioning{All: true}}}, 399}, {named, 1}} {
				page, err := s.Scan(t.Context(), grant, row.query)
				if err != nil {
					t.Fatal(err)
				}
				if page.Len() != row.want {
					t.Errorf("scan: %d objects, want %d", page.Len(), row.want)
				}
			}
			if n := strings.Count(log.String(), "a damaged record is left out"); n != 1 {
				t.Errorf("the log has %d lines of it:\n%s", n, log.String())
			}
			if _, err := push(t.Context(), s, indicator(500, 1)); err != nil {
				t.Errorf("the rest cannot be used: %v", err)
			}
		})
	}
}

// Check reports the number of an entry of the audit chain that was altered, deleted or
// added by hand.
func TestDamagedChain(t *testing.T) {
	for name, row := range map[string]struct {
		harm func(links *bbolt.Bucket) error
		want string
	}{
		"altered": {func(links *bbolt.Bucket) error {
			v := bytes.Replace(links.Get(key(3)), []byte(`"count":1`), []byte(`"count":2`), 1)
			return links.Put(key(3), v)
		}, "entry 3"},
		"dropped": {func(links *bbolt.Bucket) error { return links.Delete(key(2)) }, "entry 2 is missing"},
		"cut":     {func(links *bbolt.Bucket) error { return links.Delete(key(5)) }, "ends at line 4"},
		"added":   {func(links *bbolt.Bucket) error { return links.Put(key(6), links.Get(key(5))) }, "entry 6"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			for n := range 5 {
				mustPush(t, s, indicator(n, 1))
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			update(t, dir, func(tx *bbolt.Tx) error { return row.harm(tx.Bucket([]byte("links"))) })
			s = open(t, dir)
			defer s.Close()
			faults := faultsOf(t, s)
			if len(faults) != 1 || !strings.Contains(faults[0], row.want) {
				t.Errorf("got %q, want %q", faults, row.want)
			}
		})
	}
}

func key(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// A page of random bytes may cause errors, but no panic.
func TestNoise(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for n := range 100 {
		mustPush(t, s, indicator(n, 1), indicator(n, 2))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, bolt.FileName))
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(good, "\x00")) / bolt.PageSize
	for page := 2; page < used; page += 1 + used/60 {
		bad := bytes.Clone(good[:(used+1)*bolt.PageSize])
		for i := page * bolt.PageSize; i < page*bolt.PageSize+64; i++ {
			bad[i] ^= 0x5a
		}
		dir := t.TempDir() // a new one, as the lock of a file that cannot be opened is not released
		if err := os.WriteFile(filepath.Join(dir, bolt.FileName), bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := bolt.Open(dir, time.Now, discard, 0)
		if err != nil {
			continue
		}
		_ = s.Check(t.Context(), nil, func(string) {})
		for _, q := range []store.Query{{Limit: 1000}, {Limit: 1000, Match: taxii.Match{Versions: taxii.Versioning{All: true}}}} {
			_, _ = s.Scan(t.Context(), grant, q)
			_, _ = s.Manifest(t.Context(), grant, q)
		}
		_, _ = push(t.Context(), s, indicator(50, 3))
		_, _ = s.Backup(t.Context(), io.Discard)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A file that was cut off causes errors, but does not end the process, wherever the cut is.
func TestACutOffFileIsAnError(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	for n := range 100 {
		mustPush(t, s, indicator(n, 1), indicator(n, 2))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, bolt.FileName))
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(good, "\x00")) / bolt.PageSize
	opened := 0
	for pages := 2; pages < used; pages++ {
		dir := t.TempDir() // a new one, as the lock of a file that cannot be opened is not released
		if err := os.WriteFile(filepath.Join(dir, bolt.FileName), good[:pages*bolt.PageSize], 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := bolt.Open(dir, time.Now, discard, 0)
		if err != nil {
			continue
		}
		opened++
		for n := range 100 {
			_, _ = push(t.Context(), s, indicator(n, 3))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		_ = bolt.Compact(t.Context(), dir, 0, nil)
	}
	if opened == 0 {
		t.Error("the test cuts nothing but what Open reads")
	}
}

// A check, a push and a compaction end, with an error, on a file in which a page has a wrong
// page number: its own, or one beyond the end of the file.
func TestWrongPageNumberIsAnError(t *testing.T) {
	const branch, headerLen, elementLen = 1, 16, 16 // of bbolt's pages
	dir := t.TempDir()
	s := open(t, dir)
	for at := 0; at < 12_000; at += 4000 {
		mustPush(t, s, items(at, 4000)...)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, bolt.FileName))
	if err != nil {
		t.Fatal(err)
	}
	for name, beyond := range map[string]uint64{"its own": 0, "beyond the end": uint64(len(good)/bolt.PageSize) + 99} {
		t.Run(name, func(t *testing.T) {
			found := map[string]int{}
			for at := 2 * bolt.PageSize; at < len(good); at += bolt.PageSize {
				page := good[at:]
				id, flags, elements := binary.NativeEndian.Uint64(page), binary.NativeEndian.Uint16(page[8:]), int(binary.NativeEndian.Uint16(page[10:]))
				if id != uint64(at/bolt.PageSize) || flags != branch || elements < 3 {
					continue
				}
				bad := bytes.Clone(good)
				binary.NativeEndian.PutUint64(bad[at+headerLen+elements/2*elementLen+8:], cmp.Or(beyond, id))
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, bolt.FileName), bad, 0o600); err != nil {
					t.Fatal(err)
				}
				s := open(t, dir)
				faults := faultsOf(t, s)
				if len(faults) == 0 { // the page is of an older commit
					if err := s.Close(); err != nil {
						t.Error(err)
					}
					continue
				}
				bucket, fault, _ := strings.Cut(faults[0], ": ")
				found[bucket]++
				if want := fmt.Sprintf("page %d cannot be read", beyond); beyond > 0 && fault != want || beyond == 0 && !strings.HasPrefix(fault, "the keys do not ascend at ") {
					t.Errorf("%s: %s", bucket, fault)
				}
				if strings.HasSuffix(bucket, "/run") {
					if _, err := push(t.Context(), s, indicator(50_000, 1)); taxii.CodeOf(err) != taxii.Internal {
						t.Errorf("push: %v", err)
					}
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				if err := bolt.Compact(t.Context(), dir, 0, nil); taxii.CodeOf(err) != taxii.Internal {
					t.Errorf("%s: Compact: %v", bucket, err)
				}
			}
			of := "bucket collection " + collection.String()
			if found[of+"/live"] == 0 || found[of+"/run"] == 0 {
				t.Errorf("the test damaged only %v", found)
			}
		})
	}
}

// A check ends, and does not end the process, whichever byte in the header of a page is
// damaged.
func TestACheckOutlivesADamagedHeadOfAPage(t *testing.T) {
	const branch, headLen = 1, 16 + 2*16 // of bbolt's pages: the header and two elements
	dir := t.TempDir()
	s := open(t, dir)
	mustPush(t, s, items(0, 3000)...)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(dir, bolt.FileName))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for at := 2 * bolt.PageSize; at < len(good); at += bolt.PageSize {
		if binary.NativeEndian.Uint64(good[at:]) != uint64(at/bolt.PageSize) || binary.NativeEndian.Uint16(good[at+8:]) != branch {
			continue
		}
		for i := range headLen {
			if i >= 24 && i < 32 || i >= 40 {
				continue // the page number of an element: see TestWrongPageNumberIsAnError
			}
			bad := bytes.Clone(good)
			bad[at+i] ^= 0x10
			dir := t.TempDir() // a new one, as the lock of a file that cannot be opened is not released
			if err := os.WriteFile(filepath.Join(dir, bolt.FileName), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := bolt.Open(dir, time.Now, discard, 0)
			if err != nil {
				found++
				continue
			}
			faults := faultsOf(t, s)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if len(faults) == 0 {
				if err := bolt.CheckFreeList(dir, 0, func(fault string) { faults = append(faults, fault) }); err != nil {
					t.Error(err)
				}
			}
			if len(faults) > 0 {
				found++
			}
		}
	}
	if found == 0 {
		t.Error("no page of the file in use was damaged")
	}
}

// A page that is in use and also listed as free would be overwritten by a later commit.
func TestAPageInUseThatIsListedAsFreeIsFound(t *testing.T) {
	const headerLen, freelistAt, transactionAt, branchOrLeaf = 16, 16 + 32, 16 + 48, 3 // in bbolt's pages
	dir := t.TempDir()
	s := open(t, dir)
	for n := range 50 {
		mustPush(t, s, indicator(n, 1), indicator(n, 2))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	faultsIn := func() (faults []string) {
		if err := bolt.CheckFreeList(dir, 0, func(fault string) { faults = append(faults, fault) }); err != nil {
			t.Fatal(err)
		}
		return faults
	}
	if faults := faultsIn(); len(faults) > 0 {
		t.Fatalf("before the damage: %q", faults)
	}
	path := filepath.Join(dir, bolt.FileName)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	meta := file
	if other := file[bolt.PageSize:]; binary.NativeEndian.Uint64(other[transactionAt:]) > binary.NativeEndian.Uint64(meta[transactionAt:]) {
		meta = other
	}
	list := file[binary.NativeEndian.Uint64(meta[freelistAt:])*bolt.PageSize:]
	used := uint64(0)
	for i := range int(binary.NativeEndian.Uint16(list[10:])) - 1 {
		id := list[headerLen+8*i:]
		next := binary.NativeEndian.Uint64(id) + 1
		if next == binary.NativeEndian.Uint64(id[8:]) {
			continue // it is free too
		}
		// bbolt's check looks at the first page of each branch and leaf, and at no other.
		if page := file[next*bolt.PageSize:]; binary.NativeEndian.Uint64(page) == next && binary.NativeEndian.Uint16(page[8:])&branchOrLeaf != 0 {
			used = next
			binary.NativeEndian.PutUint64(id, used)
			break
		}
	}
	if used == 0 {
		t.Fatal("no branch or leaf follows a free page")
	}
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("page %d: ", used)
	if faults := faultsIn(); !slices.ContainsFunc(faults, func(fault string) bool { return strings.Contains(fault, want) }) {
		t.Errorf("got %q, want %q", faults, want)
	}
	other := t.TempDir()
	if err := bolt.Restore(t.Context(), path, other); taxii.CodeOf(err) != taxii.Invalid {
		t.Errorf("Restore: %v", err)
	}
}

// faultsOf returns the faults that a check finds.
func faultsOf(t *testing.T, s *bolt.Store) (faults []string) {
	t.Helper()
	if err := s.Check(t.Context(), nil, func(fault string) { faults = append(faults, fault) }); err != nil {
		t.Fatal(err)
	}
	return faults
}

// A check does not hold up a push, and ends with the context of its caller.
func TestACheckHoldsUpNobodyAndCanBeEnded(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	for n := range 20 {
		mustPush(t, s, items(n*100, 100)...)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := s.Check(ctx, func(int64) { // after the first thousand records
		mustPush(t, s, indicator(5000, 1))
		cancel()
	}, func(fault string) { t.Error(fault) }); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if n := count(t, s); n != 2001 {
		t.Errorf("%d records", n)
	}
}

// If the text of an agreement was edited in the file, the text gives no grants, and Check
// reports it. Check also reports records of the directory that cannot be read.
func TestEditedAgreementIsFound(t *testing.T) {
	source, err := os.ReadFile("../../testdata/agreements/dea-2017-panw.toml")
	if err != nil {
		t.Fatal(err)
	}
	text, problems := agreement.Parse("a.toml", source)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	edited := bytes.Replace(source, []byte(text.Title), []byte("Another title"), 1)
	other, problems := agreement.Parse("a.toml", edited)
	if err := problems.Err(); err != nil || other.Digest() == text.Digest() {
		t.Fatal("the edit changes nothing", err)
	}
	for name, row := range map[string]struct {
		source []byte
		digest string
		want   string
	}{
		"as deposited":    {source, text.Digest(), ""},
		"text edited":     {edited, text.Digest(), "another digest"},
		"and digest, too": {edited, other.Digest(), "audit record"},
		"digest removed":  {edited, "", "another digest"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir())
			defer s.Close()
			if err := s.Amend(t.Context(), func(d *exchange.Directory) ([]audit.Entry, error) {
				d.Agreements[text.ID] = &exchange.Deposit{ID: text.ID, Versions: []exchange.Version{{File: "a.toml", Source: string(row.source), Digest: row.digest}}}
				return []audit.Entry{{Act: audit.Directory, Agreement: text.ID, Digest: text.Digest()}}, nil
			}); err != nil {
				t.Fatal(err)
			}
			faults := faultsOf(t, s)
			if row.want == "" && len(faults) > 0 || row.want != "" && (len(faults) != 1 || !strings.Contains(faults[0], row.want)) {
				t.Errorf("got %q, want %q", faults, row.want)
			}
			d, _, err := s.Directory(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := exchange.NewPolicy(d); (err != nil) != (row.want == "another digest") {
				t.Errorf("policy: %v", err)
			}
		})
	}
}

// A record of the directory that was changed in the file, without an entry of the audit
// chain, is reported.
func TestEditedDirectoryIsFound(t *testing.T) {
	for name, row := range map[string]struct {
		record, from, to string
		want             string
	}{
		"as it was":         {record: "account/a/x", from: "x", to: "x"},
		"account reopened":  {"account/a/x", `"disabled":true`, `"disabled":false`, "account a/x is not as"},
		"another password":  {"account/a/x", `"password":"p"`, `"password":"q"`, "account a/x is not as"},
		"another token":     {"token/t", `"digest":"d"`, `"digest":"e"`, "token t is not as"},
		"suspension lifted": {"organisation/a", `"suspended":true`, `"suspended":false`, "organisation a is not as"},
		"account taken out": {record: "account/a/x", want: "account a/x is missing"},
		"act undone":        {"agreement/g", `"suspend"`, `"reinstate"`, "agreement g is not as"},
		"another feed":      {"feed/a/block", `"use":"search"`, `"use":"block"`, "feed a/block is not as"},
		"another server":    {"link/out", `"https://taxii.example/"`, `"https://other.example/"`, "link out is not as"},
		"pushes let in":     {record: "shut/c", want: "shut c is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			for _, disabled := range []bool{false, true} {
				if err := s.Amend(t.Context(), func(d *exchange.Directory) ([]audit.Entry, error) {
					d.Organisations["a"] = &exchange.Organisation{ID: "a", Suspended: true}
					d.Accounts["a/x"] = &exchange.Account{Org: "a", Name: "x", Password: "p", Disabled: disabled}
					d.Tokens["t"] = &exchange.Token{ID: "t", Account: "a/x", Digest: "d"}
					d.Agreements["g"] = &exchange.Deposit{ID: "g", Acts: []exchange.Act{{Kind: exchange.Suspend}}}
					d.Feeds["a/block"] = &exchange.Feed{ID: "block", Account: "a/x", Use: "search"}
					d.Links["out"] = &exchange.Link{Name: "out", URL: "https://taxii.example/"}
					d.Shut["c"] = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
					return []audit.Entry{{Act: audit.Directory}}, nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			update(t, dir, func(tx *bbolt.Tx) error {
				b := tx.Bucket([]byte("directory"))
				old := b.Get([]byte(row.record))
				if row.from == "" {
					return b.Delete([]byte(row.record))
				}
				if !bytes.Contains(old, []byte(row.from)) {
					t.Fatalf("%s has no %s", old, row.from)
				}
				return b.Put([]byte(row.record), bytes.Replace(old, []byte(row.from), []byte(row.to), 1))
			})
			s = open(t, dir)
			defer s.Close()
			faults := faultsOf(t, s)
			if row.want == "" && len(faults) > 0 || row.want != "" && (len(faults) != 1 || !strings.Contains(faults[0], row.want)) {
				t.Errorf("got %q, want %q", faults, row.want)
			}
		})
	}
}

// Reading a page that the file no longer has returns an error and does not end the process.
func TestMissingPageIsAnError(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	mustPush(t, s, items(0, 200)...)
	if err := os.Truncate(filepath.Join(dir, bolt.FileName), 2*bolt.PageSize); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Scan(t.Context(), grant, store.Query{Limit: 1000}); taxii.CodeOf(err) != taxii.Internal {
		t.Errorf("got %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
