package convert_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"comity/stix"
	"comity/stix/convert"
	"comity/stix/validate"
)

// observed returns an observed-data of STIX 2.0 with entries.
func observed(number, more, entries string) string {
	return `{"type":"observed-data","id":"observed-data--b67d30ff-02ac-498a-92f9-32f845f448c` + number + `",` + version +
		`,"first_observed":"2015-12-21T19:00:00Z","last_observed":"2015-12-21T19:00:00Z","number_observed":1,` + more +
		`"objects":{` + entries + `}}`
}

// computed returns the deterministic id of an observable.
func computed(t *testing.T, raw string) string {
	t.Helper()
	id, ok := stix.DeterministicID([]byte(raw))
	if !ok {
		t.Fatalf("%s has no computed id", raw)
	}
	return string(id)
}

// Each row has an observable, its properties in STIX 2.0 and in 2.1, and the entries of the
// report.
func TestObservablesBecomeThoseOfSTIX21(t *testing.T) {
	for name, test := range map[string]struct {
		typeName, old, want string
		said                []string
	}{
		"address":   {"ipv4-addr", `"value":"198.51.100.3"`, `"value":"198.51.100.3"`, nil},
		"directory": {"directory", `"path":"/","created":"2015-12-21T19:00:01Z","modified":"2015-12-21T19:00:02Z","accessed":"2015-12-21T19:00:03Z"`, `"path":"/","ctime":"2015-12-21T19:00:01Z","mtime":"2015-12-21T19:00:02Z","atime":"2015-12-21T19:00:03Z"`, nil},
		"file": {"file", `"name":"a","created":"2015-12-21T19:00:01Z","modified":"2015-12-21T19:00:02Z","accessed":"2015-12-21T19:00:03Z","is_encrypted":true,"encryption_algorithm":"x","decryption_key":"k"`,
			`"name":"a","ctime":"2015-12-21T19:00:01Z","mtime":"2015-12-21T19:00:02Z","atime":"2015-12-21T19:00:03Z"`,
			[]string{`is_encrypted: STIX 2.1 has no such property of file`, `encryption_algorithm: STIX 2.1 has no such property of file`, `decryption_key: STIX 2.1 has no such property of file`}},
		"hashes": {"file", `"hashes":{"ssdeep":"3:a:b","MD6":"0"},"extensions":{"ntfs-ext":{"alternate_data_streams":[{"name":"s","hashes":{"ssdeep":"3:a:b"}}]}}`,
			`"hashes":{"SSDEEP":"3:a:b","MD6":"0"},"extensions":{"ntfs-ext":{"alternate_data_streams":[{"name":"s","hashes":{"SSDEEP":"3:a:b"}}]}}`, nil},
		"both names of a hash": {"file", `"hashes":{"ssdeep":"3:a:b","SSDEEP":"3:c:d"}`, `"hashes":{"ssdeep":"3:a:b","SSDEEP":"3:c:d"}`, nil},
		"file extensions": {"file", `"name":"a","extensions":{"raster-image-ext":{"image_weight":1,"exif_tags":{"a_ref":"0"},"image_compression_algorithm":"x"},"archive-ext":{"version":"1","comment":"c"},"x-my-ext":{"version":"1","created":"y"}}`,
			`"name":"a","extensions":{"raster-image-ext":{"image_width":1,"exif_tags":{"a_ref":"0"}},"archive-ext":{"comment":"c"},"x-my-ext":{"version":"1","created":"y"}}`,
			[]string{`extensions/raster-image-ext/image_compression_algorithm: STIX 2.1 has no such property of raster-image-ext`, `extensions/archive-ext/version: STIX 2.1 has no such property of archive-ext`}},
		"an extension with nothing left": {"file", `"name":"a","extensions":{"raster-image-ext":{"image_compression_algorithm":"x"}}`, `"name":"a"`,
			[]string{`extensions/raster-image-ext/image_compression_algorithm: STIX 2.1 has no such property of raster-image-ext`, `extensions/raster-image-ext: nothing is left of the extension`}},
		"process": {"process", `"pid":1,"name":"a","created":"2015-12-21T19:00:01Z","arguments":["-x"],"environment_variables":{"A_ref":"0"},"extensions":{"windows-service-ext":{"service_name":"s"}}`,
			`"pid":1,"created_time":"2015-12-21T19:00:01Z","environment_variables":{"A_ref":"0"},"extensions":{"windows-service-ext":{"service_name":"s"}}`,
			[]string{`name: STIX 2.1 has no such property of process`, `arguments: STIX 2.1 has no such property of process`}},
		"traffic": {"network-traffic", `"protocols":["http"],"src_port":1,"ipfix":{"x_ref":"0"},"extensions":{"http-request-ext":{"request_method":"get","request_value":"/","request_header":{"Host":"h","Via":["a","b"]}},"socket-ext":{"address_family":"AF_INET","protocol_family":"PF_INET"}}`,
			`"protocols":["http"],"src_port":1,"ipfix":{"x_ref":"0"},"extensions":{"http-request-ext":{"request_method":"get","request_value":"/","request_header":{"Host":["h"],"Via":["a","b"]}},"socket-ext":{"address_family":"AF_INET"}}`,
			[]string{`extensions/socket-ext/protocol_family: STIX 2.1 has no such property of socket-ext`}},
		"mail": {"email-message", `"is_multipart":false,"subject":"s","additional_header_fields":{"X-A":"1","X-B":["2"]}`,
			`"is_multipart":false,"subject":"s","additional_header_fields":{"X-A":["1"],"X-B":["2"]}`, nil},
		"account":       {"user-account", `"user_id":"u","password_last_changed":"2015-12-21T19:00:01Z"`, `"user_id":"u","credential_last_changed":"2015-12-21T19:00:01Z"`, nil},
		"registry":      {"windows-registry-key", `"key":"k","modified":"2015-12-21T19:00:01Z","values":[{"name":"n"}]`, `"key":"k","modified_time":"2015-12-21T19:00:01Z","values":[{"name":"n"}]`, nil},
		"certificate":   {"x509-certificate", `"serial_number":"1","version":"3"`, `"serial_number":"1","version":"3"`, nil},
		"name is taken": {"directory", `"path":"/","ctime":"2015-12-21T19:00:01Z","created":"2015-12-21T19:00:02Z"`, `"path":"/","ctime":"2015-12-21T19:00:01Z"`, []string{`created: it would be called ctime, which is there already`}},
		"no entry": {"file", `"name":"a","parent_directory_ref":"7","contains_refs":["8"],"x_ref":"identity--` + uuid + `"`,
			`"name":"a","x_ref":"identity--` + uuid + `"`,
			[]string{`parent_directory_ref: there is no entry "7" that it could refer to`, `contains_refs/0: there is no entry "8" that it could refer to`}},
		"custom": {"x-thing", `"num":1.0,"x_a":{"b":["c"]}`, `"num":1.0,"x_a":{"b":["c"]}`, nil},
		"custom, with names that STIX 2.1 took": {"x-thing", `"action":"run","severity":3,"created":"today","num":1`, `"x_action":"run","x_severity":3,"x_created":"today","num":1`,
			[]string{"created: no observable of STIX 2.1 has it: it is called x_created", "action: STIX 2.1 does not allow it here (R-046): it is called x_action", "severity: STIX 2.1 does not allow it here (R-046): it is called x_severity"}},
		"artifact with a key": {"artifact", `"payload_bin":"AA==","decryption_key":"k"`, `"payload_bin":"AA==","x_decryption_key":"k"`,
			[]string{"decryption_key: STIX 2.1 does not allow it here (R-122): it is called x_decryption_key"}},
		"hexadecimal digits": {"file", `"name":"a","magic_number_hex":"4D5A"`, `"name":"a","magic_number_hex":"4d5a"`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			out, said := upgrade(t, observed("f", "", `"a~/b":{"type":"`+test.typeName+`",`+test.old+`}`))
			if len(out) != 2 {
				t.Fatalf("got %s", out)
			}
			o, err := stix.NewObject([]byte(out[0]))
			if err != nil {
				t.Fatal(err)
			}
			if id, ok := stix.DeterministicID(o.Raw); ok && id != o.ID {
				t.Errorf("got id %s, want the computed %s", o.ID, id)
			}
			checkLines(t, "observable", out[:1], []string{`{"type":"` + test.typeName + `","spec_version":"2.1","id":"` + string(o.ID) + `",` + test.want + `}`})
			want := strings.Replace(observed("f", "", "@"), `"objects":{@}`, `"object_refs":["`+string(o.ID)+`"]`, 1)
			checkLines(t, "observed-data", out[1:], []string{strings.Replace(want, `,"id"`, `,"spec_version":"2.1","id"`, 1)})
			for i, s := range test.said {
				test.said[i] = `observed-data--` + uuid + ` /objects/a~0~1b/` + s
			}
			checkLines(t, "report", said, test.said)
		})
	}
}

// linkedEntries are entries of a container that refer to each other in every way that the
// standard has.
const linkedEntries = `
		"mail":{"type":"email-message","is_multipart":true,"from_ref":"from","to_refs":["from","to"],"subject":"s",
			"body_multipart":[{"body_raw_ref":"file"}],"raw_email_ref":"raw"},
		"from":{"type":"email-addr","value":"a@example.com","belongs_to_ref":"user"},
		"to":{"type":"email-addr","value":"b@example.com"},
		"user":{"type":"user-account","user_id":"u"},
		"raw":{"type":"artifact","payload_bin":"AA=="},
		"file":{"type":"file","name":"f","parent_directory_ref":"dir","extensions":{"archive-ext":{"contains_refs":["in"]}}},
		"in":{"type":"file","name":"g"},
		"dir":{"type":"directory","path":"/","contains_refs":["file"]},
		"net":{"type":"network-traffic","src_ref":"ip","protocols":["tcp"],"encapsulates_refs":["inner"]},
		"inner":{"type":"network-traffic","dst_ref":"ip","protocols":["udp"],"encapsulates_by_ref":"net"},
		"ip":{"type":"ipv4-addr","value":"198.51.100.3"},
		"proc":{"type":"process","pid":1,"binary_ref":"file","child_refs":["sub"],"opened_connection_refs":["net"],
			"extensions":{"windows-service-ext":{"service_name":"s","service_dll_refs":["in"]}}},
		"sub":{"type":"process","pid":2,"parent_ref":"proc"},
		"x":{"type":"x-thing","x_n":1,"deep":[{"thing_ref":"x"}]}`

// Every reference by a key becomes a reference by id. The ids are the deterministic ones,
// which depend on each other.
func TestReferencesResolveAsTheyDidInTheContainer(t *testing.T) {
	out, said := upgrade(t, observed("f", "", linkedEntries))
	checkLines(t, "report", said, nil)
	ids := map[string]bool{}
	for _, raw := range out {
		o, err := stix.NewObject([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if id, ok := stix.DeterministicID([]byte(raw)); ok && id != o.ID {
			t.Errorf("%s should have the id %s", raw, id)
		}
		checkLines(t, "errors of "+string(o.ID), faults(raw, validate.Policy{}), nil)
		ids[string(o.ID)] = true
	}
	text := strings.Join(out, "\n")
	ip := "ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4"
	dir := computed(t, `{"type":"directory","path":"/"}`)
	in := computed(t, `{"type":"file","name":"g"}`)
	file := computed(t, `{"type":"file","name":"f","parent_directory_ref":"`+dir+`","extensions":{"archive-ext":{"contains_refs":["`+in+`"]}}}`)
	for _, want := range []string{
		`"from_ref":"email-addr--`, `"body_raw_ref":"` + file + `"`, `"contains_refs":["` + file + `"]`, `"contains_refs":["` + in + `"]`,
		`"src_ref":"` + ip + `"`, `"encapsulated_by_ref":"network-traffic--`, `"image_ref":"` + file + `"`, `"service_dll_refs":["` + in + `"]`,
		`"parent_ref":"process--`, `"thing_ref":"x-thing--`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	for _, raw := range out {
		o, _ := stix.NewObject([]byte(raw))
		o.References(func(property string, id stix.ID) {
			if !ids[string(id)] {
				t.Errorf("%s %s: %s is not in the output", o.ID, property, id)
			}
		})
	}
}

func TestMarkingsOfAnObservationMarkItsObservables(t *testing.T) {
	out, said := upgrade(t, observed("f", `"object_marking_refs":["`+green+`"],"granular_markings":[`+
		`{"marking_ref":"`+red+`","selectors":["objects.0.created","objects.1","number_observed","objects.2.name","objects.0.hashes.ssdeep","objects.0.contains_refs.[1]"]}],`,
		`"0":{"type":"file","name":"a","created":"2015-12-21T19:00:01Z","hashes":{"ssdeep":"3:a:b"},"contains_refs":["9","1"]},"1":{"type":"mutex","name":"m"},"2":{"type":"process","pid":1,"name":"n"}`))
	for i, want := range []string{
		`"object_marking_refs":["` + green + `"],"granular_markings":[{"marking_ref":"` + red + `","selectors":["ctime","hashes.SSDEEP","contains_refs.[0]"]}]}`,
		`"object_marking_refs":["` + green + `","` + red + `"]}`,
		`"pid":1,"object_marking_refs":["` + green + `"]}`,
		`"granular_markings":[{"marking_ref":"` + red + `","selectors":["object_refs.[1]","number_observed"]}],"object_refs":`,
	} {
		if !strings.Contains(out[i], want) {
			t.Errorf("there is no %s in\n%s", want, out[i])
		}
	}
	checkLines(t, "report", said, []string{
		`observed-data--` + uuid + ` /objects/0/contains_refs/0: there is no entry "9" that it could refer to`,
		`observed-data--` + uuid + ` /objects/2/name: STIX 2.1 has no such property of process`,
		`observed-data--` + uuid + ` /granular_markings/0/selectors/3: what it marks is not in STIX 2.1`,
	})
}

// A marking of the whole container marks every observable. A marking of one entry goes to the
// observable that is made of it.
func TestMarkingsMoveToTheObservables(t *testing.T) {
	for selector, want := range map[string][2]string{
		"objects":         {`"object_marking_refs":["` + red + `"]}`, `"granular_markings":[{"marking_ref":"` + red + `","selectors":["object_refs"]}],"object_refs":`},
		"objects.0.value": {`"granular_markings":[{"marking_ref":"` + red + `","selectors":["value"]}]}`, `"number_observed":1,"object_refs":`},
	} {
		out, said := upgrade(t, observed("f", `"granular_markings":[{"marking_ref":"`+red+`","selectors":["`+selector+`"]}],`, `"0":{"type":"url","value":"u"}`))
		for i := range want {
			if !strings.Contains(out[i], want[i]) {
				t.Errorf("%s: there is no %s in\n%s", selector, want[i], out[i])
			}
		}
		checkLines(t, selector, said, nil)
	}
}

// A property of the observation itself may get a custom name too; the markings of its parts
// keep their place in it.
func TestMarkingsFollowARenamedPropertyOfAnObservation(t *testing.T) {
	out, said := upgrade(t, observed("f", `"lang":{"a":"b"},"granular_markings":[{"marking_ref":"`+red+`","selectors":["lang","lang.a","objects.0"]}],`, `"0":{"type":"url","value":"http://a.example/"}`))
	if want := `"x_lang":{"a":"b"},"granular_markings":[{"marking_ref":"` + red + `","selectors":["x_lang","x_lang.a","object_refs.[0]"]}],"object_refs":`; !strings.Contains(out[1], want) {
		t.Errorf("there is no %s in\n%s", want, out[1])
	}
	checkLines(t, "errors", faults(out[1], validate.Policy{}), nil)
	checkLines(t, "report", said, []string{`observed-data--` + uuid + ` /lang: STIX 2.1 does not allow it here (R-007): it is called x_lang`})
}

// Two entries with the same content become one object. Two with different contents stay two
// objects, even if their deterministic ids are equal.
func TestEntriesOfOneContentAreOneObject(t *testing.T) {
	out, said := upgrade(t, observed("f", "", `"0":{"type":"file","name":"a"},"1":{"type":"file","name":"a"},"2":{"type":"file","name":"a","size":1}`))
	if len(out) != 3 || strings.Count(out[2], "file--") != 2 || len(said) != 1 || view(t, out[0]).ID == view(t, out[1]).ID {
		t.Errorf("got\n%s\nand it said %s", strings.Join(out, "\n"), said)
	}
}

func TestOneIDStandsForOneContent(t *testing.T) {
	ip := `"0":{"type":"ipv4-addr","value":"198.51.100.3"}`
	out, said := upgrade(t,
		observed("1", "", ip),
		observed("2", "", ip+`,"1":{"type":"ipv4-addr","value":"198.51.100.3"}`),
		observed("3", `"object_marking_refs":["`+red+`"],`, ip+`,"1":{"type":"network-traffic","src_ref":"0","protocols":["tcp"]}`),
	)
	content := map[stix.ID]string{}
	for _, raw := range out {
		o, err := stix.NewObject([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if other, twice := content[o.ID]; twice {
			t.Errorf("%s stands for\n%s and\n%s", o.ID, other, raw)
		}
		content[o.ID] = raw
	}
	if len(out) != 6 || strings.Contains(content["ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4"], red) {
		t.Errorf("got\n%s", strings.Join(out, "\n"))
	}
	var traffic struct {
		Source stix.ID `json:"src_ref"`
	}
	if err := json.Unmarshal([]byte(out[4]), &traffic); err != nil || !strings.Contains(content[traffic.Source], red) {
		t.Errorf("%s does not refer to the address that is marked: %v", out[4], err)
	}
	if len(said) != 1 || !strings.HasPrefix(said[0], `observed-data--b67d30ff-02ac-498a-92f9-32f845f448c3 /objects/0: another object of the bundle has its id`) {
		t.Errorf("said %s", said)
	}
}

// An object that gets another id changes the objects that refer to it, and so on.
func TestOneIDStandsForOneContentDownAChain(t *testing.T) {
	chain := func(last string) string {
		var b strings.Builder
		for i := range 20 {
			fmt.Fprintf(&b, `"%d":{"type":"network-traffic","src_port":%d,"protocols":["tcp"],"encapsulates_refs":["%d"]},`, i, i, i+1)
		}
		return b.String() + `"20":{"type":"network-traffic","protocols":["udp"]` + last + `}`
	}
	out, said := upgrade(t, observed("1", "", chain("")), observed("2", "", chain(`,"src_packets":1`)))
	seen := map[stix.ID]bool{}
	for _, raw := range out {
		if o := view(t, raw); seen[o.ID] {
			t.Errorf("%s is there twice", o.ID)
		} else {
			seen[o.ID] = true
		}
	}
	if len(out) != 44 || len(said) != 21 {
		t.Errorf("%d objects and %d remarks, want 44 and 21", len(out), len(said))
	}
}

// The markings of the container are repeated in every observable, so a small input could have
// a large output.
func TestAContainerThatWouldGrowWithoutBoundIsKept(t *testing.T) {
	marks := `"object_marking_refs":[`
	for i := range 3000 {
		marks += fmt.Sprintf(`"marking-definition--34098fce-860f-48ae-8e50-%012d",`, i)
	}
	marks = strings.TrimSuffix(marks, ",") + `],`
	var entries []string
	for i := range 400 {
		entries = append(entries, fmt.Sprintf(`"%d":{"type":"mutex","name":"%d"}`, i, i))
	}
	out, said := upgrade(t, observed("f", marks, strings.Join(entries, ",")))
	if len(out) != 1 || len(said) != 1 || !strings.HasSuffix(said[0], "would take more than 67108864 bytes") {
		t.Errorf("%d objects, and it said %s", len(out), said)
	}
}

// A container that cannot be taken apart is kept in the form that STIX 2.1 still allows.
func TestAContainerThatCannotBeTakenApartIsKept(t *testing.T) {
	for entries, why := range map[string]string{
		``:                                  `it is empty`,
		`"0":1`:                             `entry 0 is no object`,
		`"0":{"value":"x"}`:                 `entry 0 is no cyber-observable`,
		`"0":{"type":"A b","c":1}`:          `entry 0 would not be valid: R-062 /type: "A b" is no type name: 3 to 250 characters a-z, 0-9 and single hyphens, the first a letter`,
		`"0":{"type":"indicator"}`:          `entry 0 is no cyber-observable`,
		`"0":{"type":"url","id":"a"}`:       `entry 0 has id, which STIX 2.0 does not know`,
		`"0":{"type":"process","name":"a"}`: `nothing would be left of entry 0`,
		`"0":{"type":"file","name":"a","x_a_hex":"7","x_x_a_hex":1}`: `entry 0 would not be valid: R-043 /x_a_hex: "7" has an odd number of digits`,
	} {
		in := observed("f", "", entries)
		out, said := upgrade(t, in)
		checkLines(t, "objects", out, []string{strings.Replace(in, `,"id"`, `,"spec_version":"2.1","id"`, 1)})
		checkLines(t, "report", said, []string{`observed-data--` + uuid + ` /objects: kept here, as STIX 2.1 still allows: ` + why})
	}
}

// Observables without a deterministic id become as many objects as there are entries, also
// if they have the same content.
func TestProcessesThatLookAlikeStayApart(t *testing.T) {
	two := `"0":{"type":"process","pid":1},"1":{"type":"process","pid":1}`
	out, said := upgrade(t, observed("1", "", two), observed("2", "", two))
	checkLines(t, "report", said, nil)
	ids := map[stix.ID]bool{}
	for _, raw := range out {
		ids[view(t, raw).ID] = true
	}
	if len(out) != 6 || len(ids) != 6 {
		t.Errorf("got\n%s", strings.Join(out, "\n"))
	}
}

func TestAnObservableThatIsThereIsNotRepeated(t *testing.T) {
	ip := `{"type":"ipv4-addr","spec_version":"2.1","id":"ipv4-addr--28bb3599-77cd-5a82-a950-b5bc3caf07c4","value":"198.51.100.3"}`
	out, said := upgrade(t, ip, observed("f", "", `"0":{"type":"ipv4-addr","value":"198.51.100.3"}`))
	checkLines(t, "report", said, nil)
	if len(out) != 2 || out[0] != ip {
		t.Errorf("got\n%s", strings.Join(out, "\n"))
	}
}

func TestAnObservationThatIsNotOfSTIX20IsKept(t *testing.T) {
	in := observed("f", `"object_refs":["url--`+uuid+`"],`, `"0":{"type":"url","value":"u"}`)
	out, said := upgrade(t, in)
	checkLines(t, "objects", out, []string{strings.Replace(in, `,"id"`, `,"spec_version":"2.1","id"`, 1)})
	checkLines(t, "report", said, []string{`observed-data--` + uuid + ` /objects: kept here, as STIX 2.1 still allows: there is no container to take apart`})
}

// Cycles of references, and very long chains, are converted too.
func TestEntriesThatDependOnThemselvesGetIDs(t *testing.T) {
	var b strings.Builder
	b.WriteString(`"c":{"type":"file","name":"c","extensions":{"archive-ext":{"contains_refs":["c"]}}}`)
	for i := range 5_000 {
		fmt.Fprintf(&b, `,"%d":{"type":"file","name":"f","parent_directory_ref":"%d"}`, i, i+1)
	}
	out, _ := upgrade(t, observed("f", "", b.String()))
	if len(out) != 5_002 {
		t.Fatalf("%d objects, want 5,002", len(out))
	}
	id := view(t, out[0]).ID
	if !strings.Contains(out[0], `{"contains_refs":["`+string(id)+`"]}`) || id[len("file--")+14] != '4' {
		t.Errorf("%s does not contain itself under an id of its own", out[0])
	}
}

func TestConvertingTwiceGivesTheSameBytes(t *testing.T) {
	in := `{"objects":[` + observed("f", "", `"0":{"type":"process","pid":1},"1":{"type":"x-a","n":1},"2":{"type":"artifact","url":"u"}`) + `]}`
	var a, b bytes.Buffer
	for _, out := range []*bytes.Buffer{&a, &b} {
		if _, err := convert.Bundle(out, strings.NewReader(in)); err != nil {
			t.Fatal(err)
		}
	}
	if a.String() != b.String() {
		t.Errorf("first %s then %s", a.String(), b.String())
	}
	for _, raw := range read(t, &a)[:3] {
		if o, _ := stix.NewObject([]byte(raw)); o.ID[len(o.Type)+16] != '4' {
			t.Errorf("%s has no content to compute an id from, so it should have one of version 4", o.ID)
		}
	}
}
