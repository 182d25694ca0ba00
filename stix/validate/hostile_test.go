package validate_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix/validate"
)

const head = `{"type":"tool","spec_version":"2.1","id":"tool--9f1d0c6e-2b1a-4c3e-8d5f-0123456789ab",` +
	`"created":"2024-03-05T08:00:00.000Z","modified":"2024-03-05T08:00:00.000Z","name":"a"`

// hostile has objects that repeat something wrong or costly n times.
var hostile = map[string]func(n int) string{
	"unknown properties": func(n int) string {
		return head + repeat(n, func(i int) string { return fmt.Sprintf(`,"P%d":[]`, i) }) + `}`
	},
	"null in a list": func(n int) string { return head + `,"aliases":[null` + strings.Repeat(`,null`, n) + `]}` },
	"references": func(n int) string {
		return head + `,"object_marking_refs":["x"` + strings.Repeat(`,"identity--1"`, n) + `]}`
	},
	"selectors": func(n int) string {
		return head + `,"granular_markings":[{"lang":"en","selectors":["a"` + repeat(n, func(i int) string { return fmt.Sprintf(`,"labels.[%d]"`, i) }) +
			`]}],"labels":["a"` + strings.Repeat(`,"a"`, n) + `]}`
	},
	"steps of a selector": func(n int) string {
		return head + `,"granular_markings":[{"lang":"en","selectors":["a` + strings.Repeat(`.a`, n) + `"]}]}`
	},
	"granular markings": func(n int) string { return head + `,"granular_markings":[{}` + strings.Repeat(`,{}`, n) + `]}` },
	"extensions": func(n int) string {
		return head + `,"extensions":{"a":{}` + repeat(n, func(i int) string { return fmt.Sprintf(`,"x%d-ext":{"extension_type":"new-sdo"}`, i) }) + `}}`
	},
	"external references": func(n int) string {
		return strings.Replace(head, "tool", "vulnerability", 2) + `,"external_references":[{}` + strings.Repeat(`,{"source_name":"cve","external_id":"1"}`, n) + `]}`
	},
	"nesting": func(n int) string {
		return head + `,"x_acme":` + strings.Repeat(`{"a":[`, 45) + `1` + strings.Repeat(`,1`, n) + strings.Repeat(`]}`, 45) + `}`
	},
	"observables": func(n int) string {
		return `{"type":"observed-data","objects":{"a":{}` + repeat(n, func(i int) string {
			return fmt.Sprintf(`,"%d":{"type":"file","parent_directory_ref":"%d","hashes":{}}`, i, i+1)
		}) + `}}`
	},
	"translations": func(n int) string {
		return `{"type":"language-content","contents":{"a":{}` + repeat(n, func(i int) string { return fmt.Sprintf(`,"a%d_":{"a":"b"}`, i) }) + `}}`
	},
	"hashes": func(n int) string {
		return `{"type":"file","hashes":{"a":"b"` + repeat(n, func(i int) string { return fmt.Sprintf(`,"h%d":"b"`, i) }) + `}}`
	},
	"protocols": func(n int) string {
		return `{"type":"network-traffic","protocols":["A"` + strings.Repeat(`,"A"`, n) + `]}`
	},
	"a long type": func(n int) string {
		return `{"type":"` + strings.Repeat("a", n) + `","id":"a","extensions":{"ntfs-ext":{}}}`
	},
	"a long name":     func(n int) string { return head + `,"` + strings.Repeat("é", n) + `":[null]}` },
	"a long number":   func(n int) string { return head + `,"confidence":1` + strings.Repeat("0", n) + `}` },
	"a long domain":   func(n int) string { return `{"type":"domain-name","value":"é` + strings.Repeat(".é", n) + `"}` },
	"a long address":  func(n int) string { return `{"type":"email-addr","value":"a@b` + strings.Repeat("(", n) + `"}` },
	"a long language": func(n int) string { return head + `,"lang":"en` + strings.Repeat("-a", n) + `"}` },
	"a long timestamp": func(n int) string {
		return `{"type":"file","ctime":"2024-03-05T08:00:00.` + strings.Repeat("0", n) + `Z"}`
	},
	"a long identifier": func(n int) string { return `{"type":"file","id":"` + strings.Repeat("--", n) + `"}` },
	"a long pattern": func(n int) string {
		return `{"type":"indicator","pattern_type":"stix","pattern":"[a:b = 1` + strings.Repeat(" OR a:b = 1", n) + `]"}`
	},
	"a long payload": func(n int) string { return `{"type":"artifact","payload_bin":"` + strings.Repeat("AAAA", n) + `"}` },
	"escapes":        func(n int) string { return head + `,"x_acme":"` + strings.Repeat(`\\\"`, n) + `"}` },
}

func repeat(n int, part func(int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(part(i))
	}
	return b.String()
}

// The number and length of findings do not grow with a hostile object. A check whose time
// grows with the square of the size would take minutes here.
func TestHostileObjectsAreBounded(t *testing.T) {
	for name, grow := range hostile {
		raw := []byte(grow(100_000))
		if !jsontext.Value(raw).IsValid() {
			t.Fatalf("%s: not valid JSON: %.200s", name, raw)
		}
		start := time.Now()
		all := validate.Object(raw, validate.Policy{})
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: %d bytes took %v", name, len(raw), took)
		}
		if n, m := len(all.Errors()), len(all.Warnings()); n > validate.MaxFindings || m > validate.MaxFindings {
			t.Errorf("%s: %d errors and %d warnings, want at most %d", name, n, m, validate.MaxFindings)
		}
		for _, f := range all {
			if len(f.String()) > 2500 {
				t.Errorf("%s: a finding of %d bytes: %.300s", name, len(f.String()), f)
			}
		}
	}
}

// The properties of a bundle are read once, not once for each object behind them.
func TestCostOfALongBundleDoesNotGrowWithItsObjects(t *testing.T) {
	text := `{` + bundle + `,"x_acme":"` + strings.Repeat("a", 1<<20) + `","objects":[0` + strings.Repeat(",0", 300) + `]}`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	results(t, text, validate.Policy{})
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 100<<20 {
		t.Errorf("%d bytes took %d bytes of memory", len(text), took)
	}
}

// The limit on warnings does not hide an error that comes after them.
func TestErrorsAreReportedAfterManyWarnings(t *testing.T) {
	many := repeat(1000, func(i int) string { return fmt.Sprintf(`,"x_acme_%d":1`, i) })
	if all := validate.Object([]byte(head+many+`,"confidence":101}`), validate.Policy{}); !has(all, "R-040", false) {
		t.Errorf("findings %v, want R-040", all.Errors())
	}
}
