package server_test

import (
	"fmt"
	"strings"
)

// The markings that the tests label objects with.
const (
	green       = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"
	amber       = "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
	amberStrict = "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"
	red         = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"
)

// id is a STIX id of that type, a different one for each n.
func id(typeName string, n int) string {
	return fmt.Sprintf("%s--00000000-0000-4000-8000-%012x", typeName, n)
}

// stamp is an instant of 2020, one second later for each n.
func stamp(n int) string {
	return fmt.Sprintf("2020-01-01T%02d:%02d:%02d.000Z", n/3600, n/60%60, n%60)
}

// indicator is version v of the n-th indicator, in STIX 2.1. Each extra is a
// member, such as `"name":"x"`.
func indicator(n, v int, extra ...string) string {
	return object("indicator", id("indicator", n), append([]string{
		`"spec_version":"2.1"`, `"created":"` + stamp(0) + `"`, `"modified":"` + stamp(v) + `"`,
		`"pattern":"[ipv4-addr:value = '198.51.100.1']"`, `"pattern_type":"stix"`, `"valid_from":"` + stamp(0) + `"`,
	}, extra...)...)
}

// old is version v of the n-th indicator, in STIX 2.0.
func old(n, v int, extra ...string) string {
	return object("indicator", id("indicator", n), append([]string{
		`"created":"` + stamp(0) + `"`, `"modified":"` + stamp(v) + `"`,
		`"labels":["malicious-activity"]`, `"pattern":"[ipv4-addr:value = '198.51.100.1']"`, `"valid_from":"` + stamp(0) + `"`,
	}, extra...)...)
}

// address is the n-th IPv4 address: an object without any version.
func address(n int, extra ...string) string {
	return object("ipv4-addr", id("ipv4-addr", n), append([]string{
		`"spec_version":"2.1"`, fmt.Sprintf(`"value":"198.51.100.%d"`, n),
	}, extra...)...)
}

// statement is the n-th marking definition: created, but never modified.
func statement(n int) string {
	return object("marking-definition", id("marking-definition", n), `"spec_version":"2.1"`,
		`"created":"`+stamp(n)+`"`, `"definition_type":"statement"`, `"definition":{"statement":"ours"}`)
}

func object(typeName, id string, members ...string) string {
	return `{"type":"` + typeName + `","id":"` + id + `",` + strings.Join(members, ",") + `}`
}

// marked is the member that labels an object.
func marked(marking string) string { return `"object_marking_refs":["` + marking + `"]` }

// indicators are the first versions of n indicators, from the first one on.
func indicators(from, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = indicator(from+i, 0)
	}
	return list
}

func envelopeOf(objects ...string) string {
	return `{"objects":[` + strings.Join(objects, ",") + `]}`
}
