package agreement

import (
	"strings"

	"comity/stix"
)

// wording says what the organisations get by a term that is wider than it was:
// {names} are what it adds, {strict} and {wide} the values. Guard is what the
// writer has by the stricter one. The same words serve a gain and a loss.
type wording struct{ writer, reader, guard string }

func both(words string) wording { return wording{writer: words, reader: words} }

// wordings are by the block and key of a limit.
var wordings = map[string]wording{
	"purpose.categories":       both("use in matters of {names}"),
	"purpose.excluded":         both("use for {names}"),
	"flow.object_types":        both("objects of types {names}"),
	"flow.require":             {writer: "sending without {names}"},
	"flow.withhold":            {reader: "data on {names}"},
	"flow.about":               {reader: "data on more than {strict}"},
	"flow.writer_reads":        {writer: "reading back what it sent"},
	"flow.owner_deletes":       {writer: "deleting what it sent"},
	"flow.stix_versions":       both("objects in STIX {names}"),
	"flow.unknown_types":       both("objects of types STIX does not know"),
	"flow.refuse_custom":       both("custom content that no extension definition explains"),
	"flow.loose_urls":          both("URLs that lack percent-encoding"),
	"flow.new_uuids":           both("ids with UUIDs of version 6 to 8"),
	"handling.tlp_max.*":       both("labels above {strict} up to {wide}"),
	"handling.tlp_floor.*":     both("labels below {strict} down to {wide}"),
	"handling.pap_max.*":       both("PAP labels above {strict} up to {wide}"),
	"handling.unmarked.*":      both("an object without a label being {wide} instead of {strict}"),
	"handling.unknown_marking": both("a marking nobody knows being {wide} instead of {strict}"),
	"handling.granular":        both("a copy of an object without what is above the reader"),
	"handling.red_recipients":  {reader: "TLP:RED for {names}"},
	"quota.pushes_per_day":     {writer: "pushes a day above {strict} up to {wide}"},
	"quota.objects_per_push":   {writer: "objects in a push above {strict} up to {wide}"},
	"quota.bytes_per_push":     {writer: "a push above {strict} up to {wide}"},
	"quota.objects_held":       {writer: "objects held above {strict} up to {wide}"},
	"onward.to_kinds":          {reader: "passing on to a {names}", guard: "not being passed on to a {names}"},
	"onward.form":              {reader: "passing on as {wide} instead of {strict}", guard: "being passed on as {strict} instead of {wide}"},
	"onward.to_vendors":        {reader: "passing on to companies: {wide} instead of {strict}", guard: "being passed on to companies: {strict} instead of {wide}"},
	"attribution.centre":       {reader: "naming the source to the centre", guard: "not being named to the centre"},
	"attribution.bureaus":      {reader: "naming the source to bureaus", guard: "not being named to bureaus"},
	"attribution.vendors":      {reader: "naming the source to companies", guard: "not being named to companies"},
	"personal_data.forbidden":  {writer: "sending {names}"},
	"personal_data.allow_if":   {writer: "sending {names}"},
	"retention.keep":           {reader: "keeping for {wide} instead of {strict}", guard: "deletion after {strict} instead of {wide}"},
	"retention.never_over":     {reader: "keeping for {wide} at most instead of {strict}", guard: "deletion after {strict} at most instead of {wide}"},
	"onward.leaves_as.*":       {reader: "passing on {label} as {wide} instead of {strict}", guard: "{label} being passed on as {strict} instead of {wide}"},
}

// over is the limit's wording filled in, where the limit is wider than m; the
// zero one where it is not.
func (l limit) over(m limit) wording {
	if l.wider(m) == "" {
		return wording{}
	}
	key := l.block + "." + l.key
	label, leaves := strings.CutPrefix(key, "onward.leaves_as.")
	if leaves {
		key = "onward.leaves_as.*"
	}
	fill := strings.NewReplacer(
		"{names}", l.added(m), "{strict}", m.said(), "{wide}", l.said(), "{label}", "TLP:"+strings.ToUpper(label))
	w := wordings[key]
	return wording{fill.Replace(w.writer), fill.Replace(w.reader), fill.Replace(w.guard)}
}

// added are the names by which the limit is wider than m.
func (l limit) added(m limit) string {
	names, ok := l.value.(*[]string)
	if !ok {
		return ""
	}
	others := *m.value.(*[]string)
	switch {
	case l.order == more:
		return enumerate(missing(others, *names))
	case l.order == ofAll && *names == nil:
		return "other than " + enumerate(others)
	}
	return enumerate(missing(*names, others))
}

// said is a value in words.
func (l limit) said() string {
	switch v := l.value.(type) {
	case *stix.TLP:
		return tlpWords(*v)
	case **stix.TLP:
		if *v == nil {
			return "refused"
		}
		return tlpWords(**v)
	case *LeavesAs:
		if v.Never {
			return "not at all"
		}
		return tlpWords(v.TLP)
	case *Duration:
		if v.IsZero() {
			return "5 years" // what holds then
		}
		return v.words()
	case *int64:
		switch {
		case *v == 0:
			return "no limit"
		case l.key == "bytes_per_push":
			return size(*v)
		}
		return grouped(*v)
	}
	switch text := l.String(); {
	case l.key == "pap_max.*":
		return "PAP:" + strings.ToUpper(text)
	case l.key == "unknown_marking":
		return saying(map[string]string{AsRed: "TLP:RED", Ignore: "overlooked"}, text)[0]
	default:
		return spaced(text)[0]
	}
}

// terms compares the terms that an organisation has in both versions.
func (d *differ) terms(at seat, old, new *standing) {
	for i, o := range old.limits {
		n := new.limits[i]
		if !old.theirs && (o.block == "onward" || o.block == "attribution") {
			continue // the centre passes on its own as it likes
		}
		was, is := old.article(o), new.article(n)
		gained, lost := n.over(o), o.over(n)
		if old.writes {
			d.gain(at, is, gained.writer)
			d.lose(at, was, gained.guard)
			d.gain(at, is, lost.guard)
			d.lose(at, was, lost.writer)
		} else {
			d.gain(at, is, gained.reader)
			d.lose(at, was, lost.reader)
		}
		if word, ok := o.value.(*string); ok && gained == lost && *word != *n.value.(*string) {
			// Neither is wider.
			d.gain(at, is, spaced(n.key)[0]+": "+n.said())
			d.lose(at, was, spaced(o.key)[0]+": "+o.said())
		}
	}
}

// article is that of the clause behind a term.
func (s *standing) article(l limit) string {
	by := s.terms.By[l.by()]
	if by.Agreement == s.agreement || by.Article == "" {
		return by.Article
	}
	return by.String()
}
