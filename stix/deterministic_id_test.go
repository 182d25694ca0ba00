package stix_test

import (
	"testing"

	"comity/stix"
)

// The first id is the standard's own example. The others were computed independently, by
// the text of the standard.
func TestDeterministicID(t *testing.T) {
	tests := []struct{ name, raw, want string }{
		{"one property", `{"type":"ipv4-addr","value":"198.51.100.3"}`, "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4"},
		{"others do not count", `{"defanged":false,"value":"198.51.100.3","spec_version":"2.1","type":"ipv4-addr","x_acme":1}`, "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4"},
		{"escapes do not count", `{"\u0074ype":"ipv4-addr","value":"198.51.100\u002e3"}`, "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4"},
		{"a number", `{"type":"autonomous-system","number":64511}`, "autonomous-system--db7cbda9-7395-5be3-a796-461cd09d6dac"},
		{"a number spelled otherwise", `{"type":"autonomous-system","number":6.4511E4}`, "autonomous-system--db7cbda9-7395-5be3-a796-461cd09d6dac"},
		{"backslashes", `{"type":"directory","path":"C:\\Tide\\spool"}`, "directory--1502bfd0-fb4d-5bf7-8a64-5c83e1a1e0a8"},
		{"other alphabets", `{"type":"domain-name","value":"bücher.example"}`, "domain-name--dbf3aff2-b3cd-57d2-9616-0ddfde9d01ad"},
		{"characters that HTML escapes", `{"type":"mutex","name":"€🚢 \"quoted\" \\ <&> e\u0301"}`, "mutex--cab58be6-4b3e-54bd-a6db-e2ae0b088f84"},
		{"one hash of several", `{"type":"file","name":"tide.exe","hashes":{"SHA-256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","MD5":"098f6bcd4621d373cade4e832627b4f6"},"parent_directory_ref":"directory--1502bfd0-fb4d-5bf7-8a64-5c83e1a1e0a8"}`, "file--477bb7d6-8521-5d43-869f-034d38fdb186"},
		{"extensions whole", `{"type":"file","name":"tide.zip","extensions":{"archive-ext":{"contains_refs":["file--477bb7d6-8521-5d43-869f-034d38fdb186"]}}}`, "file--731c3be8-9689-5c2d-86ad-b7826ddb0572"},
		{"hashes in extensions whole", `{"type":"file","name":"plan.doc","extensions":{"ntfs-ext":{"sid":"1234567","alternate_data_streams":[{"name":"second.stream","size":25536,"hashes":{"MD5":"098f6bcd4621d373cade4e832627b4f6"}}]}}}`, "file--5f54e6f4-f478-5ef3-b8da-afe1eb9ca24c"},
		{"references and text", `{"type":"email-message","from_ref":"email-addr--a9d85203-349c-5235-aecd-028284009dfc","subject":"Berth plan \"7\"","body":"See you at lock 7.\n"}`, "email-message--6ab20108-6cba-5868-845b-56a804a157f0"},
		{"lists in order", `{"type":"windows-registry-key","key":"HKEY_LOCAL_MACHINE\\Software\\Tide","values":[{"name":"","data":"tide.exe","data_type":"REG_SZ"},{"name":"Port","data":"80","data_type":"REG_DWORD"}]}`, "windows-registry-key--aaa88660-74e7-51ad-a52b-6a80c8b59cd8"},
		{"a certificate", `{"type":"x509-certificate","hashes":{"SHA-256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"},"serial_number":"36:f7:d4:32"}`, "x509-certificate--b6cab30a-b78e-5cc4-a5aa-d2ee098a6ea4"},
	}
	for _, tt := range tests {
		if got, ok := stix.DeterministicID([]byte(tt.raw)); !ok || string(got) != tt.want {
			t.Errorf("%s: %s, %t, want %s", tt.name, got, ok, tt.want)
		}
	}
}

func TestDeterministicIDNeedsAContributingProperty(t *testing.T) {
	for _, raw := range []string{
		`{"type":"process","pid":1}`,
		`{"type":"email-message","is_multipart":false}`,
		`{"type":"file","hashes":{}}`,
		`{"type":"file","hashes":"x"}`,
		`{"type":"indicator","name":"a"}`,
		`{"type":"x-acme","value":"a"}`,
		`{"value":"a"}`,
		`{}`,
	} {
		if got, ok := stix.DeterministicID([]byte(raw)); ok || got != "" {
			t.Errorf("%s: %s, want none", raw, got)
		}
	}
}

// Without any of the four hashes that the standard prefers, the choice does not depend on
// the order of members.
func TestDeterministicIDTakesTheSameHashInAnyOrder(t *testing.T) {
	a, _ := stix.DeterministicID([]byte(`{"type":"file","hashes":{"TLSH":"b","SSDEEP":"a"}}`))
	b, _ := stix.DeterministicID([]byte(`{"type":"file","hashes":{"SSDEEP":"a","TLSH":"b"}}`))
	one, _ := stix.DeterministicID([]byte(`{"type":"file","hashes":{"SSDEEP":"a"}}`))
	if a != b || a != one || a == "" {
		t.Errorf("%s, %s and %s, want the same", a, b, one)
	}
}
