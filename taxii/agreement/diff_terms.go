package agreement

import (
	"strings"

	"comity/stix"
)

// wording has the texts of the rights that a wider term gives to the writer and to the
// reader, and of the protection that a stricter term gives to the writer. The placeholder
// {names} stands for the added names, {strict} and {wide} for the values. The same text is
// used for a gain and a loss.
type wording struct{ writer, reader, protection string }

func both(text string) wording { return wording{writer: text, reader: text} }

// wordings are the wordings of all limits, by block and key.
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
	"onward.to_kinds":          {reader: "passing on to a {names}", protection: "not being passed on to a {names}"},
	"onward.form":              {reader: "passing on as {wide} instead of {strict}", protection: "being passed on as {strict} instead of {wide}"},
	"onward.to_vendors":        {reader: "passing on to companies: {wide} instead of {strict}", protection: "being passed on to companies: {strict} instead of {wide}"},
	"attribution.centre":       {reader: "naming the source to the centre", protection: "not being named to the centre"},
	"attribution.bureaus":      {reader: "naming the source to bureaus", protection: "not being named to bureaus"},
	"attribution.vendors":      {reader: "naming the source to companies", protection: "not being named to companies"},
	"personal_data.forbidden":  {writer: "sending {names}"},
	"personal_data.allow_if":   {writer: "sending {names}"},
	"retention.keep":           {reader: "keeping for {wide} instead of {strict}", protection: "deletion after {strict} instead of {wide}"},
	"retention.never_over":     {reader: "keeping for {wide} at most instead of {strict}", protection: "deletion after {strict} at most instead of {wide}"},
	"onward.leaves_as.*":       {reader: "passing on {label} as {wide} instead of {strict}", protection: "{label} being passed on as {strict} instead of {wide}"},

	"feeds.actions":             {reader: "feeds for {names}", protection: "no feeds for {names}"},
	"feeds.formats":             {reader: "feeds as {names}", protection: "no feeds as {names}"},
	"feeds.hold":                {reader: "feeds lasting {wide} instead of {strict} without a refresh", protection: "feeds expiring after {strict} instead of {wide} without a refresh"},
	"feeds.min_confidence":      {reader: "blocking from a confidence of {wide} instead of {strict}", protection: "blocking only from a confidence of {strict} instead of {wide}"},
	"feeds.require_valid_until": {reader: "feeds of objects without valid_until", protection: "no feeds of objects without valid_until"},
	"feeds.url_credentials":     {reader: "feeds with the secret in the URL", protection: "no feeds with the secret in the URL"},
}

// widening is the limit's wording with its placeholders replaced, if the limit is wider than
// m; else the zero wording.
func (l limit) widening(m limit) wording {
	if l.wider(m) == "" {
		return wording{}
	}
	key := l.block + "." + l.key
	label, ok := strings.CutPrefix(key, "onward.leaves_as.")
	if ok {
		key = "onward.leaves_as.*"
	}
	placeholders := strings.NewReplacer(
		"{names}", l.added(m), "{strict}", m.text(), "{wide}", l.text(), "{label}", "TLP:"+strings.ToUpper(label))
	w := wordings[key]
	return wording{placeholders.Replace(w.writer), placeholders.Replace(w.reader), placeholders.Replace(w.protection)}
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

// text is the value as text.
func (l limit) text() string {
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
			return "5 years" // the default
		}
		return v.words()
	case *int64:
		switch {
		case *v == 0 && l.order == lower:
			return "no limit"
		case l.key == "bytes_per_push":
			return size(*v)
		}
		return grouped(*v)
	}
	switch value := l.String(); {
	case l.key == "pap_max.*":
		return "PAP:" + strings.ToUpper(value)
	case l.key == "unknown_marking":
		return phrases(map[string]string{AsRed: "TLP:RED", Ignore: "overlooked"}, value)[0]
	default:
		return spaced(value)[0]
	}
}

// compareTerms compares the terms of an organisation at a collection in both versions.
func (d *differ) compareTerms(key accessKey, old, new *access) {
	for i, o := range old.limits {
		n := new.limits[i]
		if !old.centreReceives && (o.block == "onward" || o.block == "attribution") {
			continue // they do not bind the centre for its own data
		}
		oldArticle, newArticle := old.article(o), new.article(n)
		gained, lost := n.widening(o), o.widening(n)
		if old.writes {
			d.gain(key, newArticle, gained.writer)
			d.lose(key, oldArticle, gained.protection)
			d.gain(key, newArticle, lost.protection)
			d.lose(key, oldArticle, lost.writer)
		} else {
			d.gain(key, newArticle, gained.reader)
			d.lose(key, oldArticle, lost.reader)
		}
		if word, ok := o.value.(*string); ok && gained == lost && *word != *n.value.(*string) {
			// Neither is wider.
			d.gain(key, newArticle, spaced(n.key)[0]+": "+n.text())
			d.lose(key, oldArticle, spaced(o.key)[0]+": "+o.text())
		}
	}
}

// article is the article behind a term, as in [Change].
func (a *access) article(l limit) string {
	by := a.terms.By[l.clauseKey()]
	if by.Agreement == a.agreement || by.Article == "" {
		return by.Article
	}
	return by.String()
}
