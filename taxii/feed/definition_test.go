package feed_test

import (
	"reflect"
	"regexp"
	"strings"
	"testing"

	"comity/taxii"
	"comity/taxii/feed"
)

const definition = `format = "feed/1"
id = "soc"
account = "ncb-kh/block"
use = "block"
collections = ["*"]
`

func TestAFeedFileIsRefusedWithItsPlace(t *testing.T) {
	if _, err := feed.ParseDefinition("f.toml", []byte(definition)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ source, want string }{
		{"", "f.toml: format"},
		{strings.Replace(definition, "feed/1", "feed/2", 1), `f.toml:1: format: "feed/2" is not known`},
		{strings.Replace(definition, `id = "soc"`, "", 1), "f.toml: id is missing"},
		{strings.Replace(definition, `collections = ["*"]`, "", 1), "collections is missing"},
		{definition + "colour = 1\n", "f.toml:6:1: unknown key colour"},
		{definition + "[query]\nmin_confidence = \"high\"\n", "f.toml:7:18: query.min_confidence: a value of the type string does not fit"},
		{definition + "[query]\nmin_confidence = 101\n", "f.toml:7: query.min_confidence: 101"},
		{definition + "[query]\nunknown_confidence = \"maybe\"\n", "query.unknown_confidence"},
		{definition + "[query]\ntlp_max = \"pink\"\n", "f.toml:7:11: query.tlp_max: \"pink\" is no TLP label"},
		{definition + "[query]\nmax_age = \"90 days\"\n", "f.toml:7:11: query.max_age: \"90 days\" is no duration"},
		{definition + "[query]\nnot_status = [\"taken down\"]\n", "f.toml:7: query.not_status: \"taken down\" is none of in-progress, taken-down"},
		{definition + "[entries]\nkinds = [\"ipv5\"]\n", "f.toml:7: entries.kinds: \"ipv5\" is no kind; did you mean ipv"},
		{definition + "[entries]\nlifetime = { domains = \"P1D\" }\n", "f.toml:7: entries.lifetime: \"domains\" is no kind; did you mean domain?"},
		{definition + "[entries]\nmerge = \"all\"\n", "entries.merge"},
		{definition + "[entries]\nmax = -1\n", "f.toml:7: entries.max: -1"},
		{definition + "never_block = [\"not a value\"]\n", "f.toml:6: never_block: \"not a value\" is no address"},
		{definition + "allow_reserved = [\"198.18.0.0\"]\n", "f.toml:6: allow_reserved"},
		{definition + "id = \"twice\"\n", "f.toml:6:"},
		{definition + "[webhook]\nurl = \"http://soc.example/hook\"\n", "f.toml:7: webhook.url"},
		{definition + "[webhook]\nurl = \"https://\"\n", "webhook.url"},
		{definition + "[webhook]\nurl = \"https://user:word@soc.example/\"\n", "webhook.url: leave out user"},
		{definition + "[webhook]\ncontent = \"ping\"\n", "webhook.url"},
		{definition + "[webhook]\nurl = \"https://soc.example/\"\ncontent = \"all\"\n", "f.toml:8: webhook.content"},
	} {
		_, err := feed.ParseDefinition("f.toml", []byte(c.source))
		if taxii.CodeOf(err) != taxii.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.source, err, c.want)
		}
	}
}

func FuzzParseDefinition(f *testing.F) {
	f.Add(definition)
	f.Add(definition + "[query]\nmin_confidence = 50\ntypes = [\"malicious-activity\"]\nmax_age = \"P30D\"\n[entries]\nkinds = [\"ipv4\"]\nlifetime = { ipv4 = \"P30D\" }\n")
	f.Add(definition + "never_block = [\"10.0.0.0/8\", \"example.org\"]\nallow_reserved = [\"198.18.0.0/15\"]\n")
	f.Add(definition + "[webhook]\nurl = \"https://soc.example/hook\"\ncontent = \"delta\"\n")
	f.Fuzz(func(t *testing.T, source string) {
		d, err := feed.ParseDefinition("f.toml", []byte(source))
		if (d == nil) == (err == nil) || err != nil && taxii.CodeOf(err) != taxii.Invalid {
			t.Errorf("%v, %v", d, err)
		}
	})
}

// comity help feed shows the reference.
func TestTheReferenceHasEveryKey(t *testing.T) {
	if _, err := feed.ParseDefinition("reference.toml", []byte(feed.Reference)); err != nil {
		t.Error(err)
	}
	var check func(prefix string, typ reflect.Type)
	check = func(prefix string, typ reflect.Type) {
		for field := range typ.Fields() {
			key := field.Tag.Get("toml")
			switch {
			case key == "":
			case field.Type.Kind() == reflect.Struct:
				check("["+key+"]", field.Type)
			case !regexp.MustCompile(`(?s)` + regexp.QuoteMeta(prefix) + `(?:.*\n)?# [^\n]*\n` + key + " = ").MatchString(feed.Reference):
				t.Errorf("%s%s is missing, or has no comment", prefix, key)
			}
		}
	}
	check("", reflect.TypeFor[feed.Definition]())
}
