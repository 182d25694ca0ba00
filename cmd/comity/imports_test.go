package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// allowedImports are the allowed imports between the packages of this module. A new import is
// added here, with its reason in the commit.
var allowedImports = map[string][]string{
	"cmd/comity": {
		"stix", "stix/convert", "stix/feed", "stix/fusion", "stix/pattern", "stix/rawjson", "stix/report", "stix/validate", "store", "store/atomicfile", "store/bolt", "store/postgres", "taxii", "taxii/admin", "taxii/admin/http", "taxii/agreement", "taxii/audit", "taxii/auth", "taxii/client", "taxii/console", "taxii/demo", "taxii/exchange", "taxii/feed",
		"taxii/intake", "taxii/link", "taxii/metrics", "taxii/operation", "taxii/server", "taxii/custody", "testdata",
	},
	"taxii/console":    {"stix", "stix/report", "stix/validate", "store", "store/atomicfile", "taxii", "taxii/admin", "taxii/agreement", "taxii/audit", "taxii/auth", "taxii/custody", "taxii/exchange", "taxii/feed", "taxii/link", "taxii/operation"},
	"taxii/server":     {"stix", "store", "taxii", "taxii/audit", "taxii/auth", "taxii/exchange", "taxii/intake", "taxii/metrics", "taxii/custody", "taxii/sse"},
	"taxii/admin/http": {"taxii", "taxii/admin"},
	"taxii/admin": {
		"stix", "stix/report", "store", "taxii", "taxii/agreement", "taxii/audit", "taxii/auth", "taxii/exchange", "taxii/feed", "taxii/intake", "taxii/link", "taxii/operation",
		"taxii/custody",
	},
	"taxii/feed": {"stix", "stix/feed", "store", "taxii", "taxii/agreement", "taxii/audit", "taxii/auth", "taxii/exchange", "taxii/follow", "taxii/metrics", "taxii/sse"},
	"taxii/link": {"stix", "store", "taxii", "taxii/audit", "taxii/client", "taxii/custody", "taxii/exchange", "taxii/follow", "taxii/intake"},
	"taxii/operation": {
		"stix", "stix/fusion", "stix/rawjson", "stix/report", "store", "taxii", "taxii/agreement", "taxii/audit", "taxii/exchange", "taxii/custody", "taxii/follow",
	},
	"cmd/taxiibench":   {"stix", "stix/validate"},
	"taxii/custody":    {"stix", "store", "taxii", "taxii/agreement", "taxii/audit", "taxii/exchange"},
	"taxii/follow":     {"taxii/audit"},
	"taxii/intake":     {"stix", "stix/feed", "stix/validate", "store", "taxii", "taxii/exchange"},
	"taxii/auth":       {"taxii", "taxii/exchange"},
	"taxii/client":     {"stix", "stix/rawjson", "taxii"},
	"store/bolt":       {"stix", "stix/rawjson", "store", "store/atomicfile", "taxii", "taxii/audit", "taxii/exchange"},
	"store/postgres":   {"stix", "store", "taxii", "taxii/audit", "taxii/exchange"},
	"store/atomicfile": {},
	"store/storetest":  {"stix", "store", "taxii", "taxii/agreement", "taxii/audit", "taxii/exchange"},
	"store":            {"stix", "stix/rawjson", "taxii", "taxii/audit", "taxii/exchange"},
	"taxii/audit":      {"stix", "taxii", "taxii/agreement", "taxii/exchange"},
	"taxii/exchange":   {"stix", "stix/rawjson", "taxii", "taxii/agreement"},
	"taxii/agreement":  {"stix", "taxii"},
	"taxii/demo":       {"stix"},
	"taxii/metrics":    {},
	"taxii/sse":        {"taxii"},
	"taxii":            {},
	"stix/report":      {"stix", "stix/fusion", "stix/rawjson"},
	"stix/fusion":      {"stix", "stix/pattern", "stix/rawjson"},
	"stix/feed":        {"stix", "stix/pattern", "stix/rawjson"},
	"stix/convert":     {"stix", "stix/rawjson", "stix/validate"},
	"stix/validate":    {"stix", "stix/pattern", "stix/rawjson"},
	"stix/pattern":     {"stix"},
	"stix":             {"stix/rawjson"},
	"stix/rawjson":     {},
	"testdata":         {},
}

// A package imports only the packages in its list.
func TestPackagesImportOnlyTheirList(t *testing.T) {
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && len(entry.Name()) > 2 {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(relative)
		allowed, known := allowedImports[pkg]
		if !known {
			t.Errorf("%s: the package %s is not in allowedImports", path, pkg)
		}
		for _, line := range file.Imports {
			name, err := strconv.Unquote(line.Path.Value)
			if err != nil {
				return err
			}
			if to, ours := strings.CutPrefix(name, "comity/"); ours && !slices.Contains(allowed, to) {
				t.Errorf("%s imports %s, which %s may not", path, to, pkg)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Commands write every file by the package atomicfile, so that keys, backups and agreements
// are complete after a loss of power.
func TestCommandsWriteFilesAtomically(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range []string{"os.Create", "os.WriteFile", "os.OpenFile", "os.Rename"} {
			if strings.Contains(string(text), call) {
				t.Errorf("%s calls %s", name, call)
			}
		}
	}
}
