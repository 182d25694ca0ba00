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
		{strings.Replace(definition, "feed/1", "feed/2", 1), `"feed/2" is not known`},
		{strings.Replace(definition, `id = "soc"`, "", 1), "id is missing"},
		{strings.Replace(definition, `collections = ["*"]`, "", 1), "collections is missing"},
		{definition + "colour = 1\n", "f.toml:6:1: unknown key colour"},
		{definition + "[query]\nmin_confidence = \"high\"\n", "f.toml:7:"},
		{definition + "[query]\nmin_confidence = 101\n", "query.min_confidence: 101"},
		{definition + "[query]\nunknown_confidence = \"maybe\"\n", "query.unknown_confidence"},
		{definition + "[query]\ntlp_max = \"pink\"\n", "f.toml:7:"},
		{definition + "[query]\nmax_age = \"90 days\"\n", "f.toml:7:"},
		{definition + "[entries]\nkinds = [\"ipv5\"]\n", "did you mean ipv"},
		{definition + "[entries]\nlifetime = { domains = \"P1D\" }\n", "did you mean domain?"},
		{definition + "[entries]\nmerge = \"all\"\n", "entries.merge"},
		{definition + "[entries]\nmax = -1\n", "entries.max: -1"},
		{definition + "never_block = [\"not a value\"]\n", "never_block"},
		{definition + "allow_reserved = [\"198.18.0.0\"]\n", "allow_reserved"},
		{definition + "id = \"twice\"\n", "f.toml:6:"},
		{definition + "[webhook]\nurl = \"http://soc.example/hook\"\n", "webhook.url"},
		{definition + "[webhook]\nurl = \"https://\"\n", "webhook.url"},
		{definition + "[webhook]\nurl = \"https://user:word@soc.example/\"\n", "webhook.url: leave out user"},
		{definition + "[webhook]\ncontent = \"ping\"\n", "webhook.url"},
		{definition + "[webhook]\nurl = \"https://soc.example/\"\ncontent = \"all\"\n", "webhook.content"},
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
