package feed

import (
	"slices"
	"strconv"
	"strings"
)

// idsRules finds the rules of a text in the language of Snort and Suricata, one a line,
// with their sids. They only alert: other actions would end connections or, as pass does,
// switch other rules off.
func idsRules(text string, kind Kind) (rules []string, sids []uint32, reason Reason) {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\\\n", " ") // a rule may go on in the next line
	seen := map[uint32]bool{}
	for rule := range strings.SplitSeq(text, "\n") {
		if rule = strings.TrimSpace(rule); rule == "" || rule[0] == '#' {
			continue
		}
		sid, reason := idsRule(rule, kind)
		if reason != "" {
			return nil, nil, reason
		}
		if seen[sid] {
			return nil, nil, Duplicate
		}
		seen[sid] = true
		rules, sids = append(rules, rule), append(sids, sid)
	}
	if rules == nil {
		return nil, nil, Broken
	}
	return rules, sids, ""
}

// idsUnsafe are options that run code, read or write files, change or end a connection,
// or switch other rules off.
var idsUnsafe = []string{
	"lua", "luajit", "luaxform", "dataset", "datarep", "filemd5", "filesha1", "filesha256", "filestore", "logto", "session",
	"replace", "react", "resp", "bypass", "activates", "activated_by",
}

// idsRule reads one rule.
func idsRule(rule string, kind Kind) (sid uint32, reason Reason) {
	if strings.ContainsFunc(rule, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
		return 0, Broken
	}
	header, options, ok := idsHeader(rule)
	if !ok {
		return 0, Broken
	}
	switch action := header[0]; {
	case action != "alert":
		return 0, Unsafe
	case len(header) == 7 && (header[4] == "->" || header[4] == "<>"):
	case len(header) != 2 || kind != Snort: // Snort 3 has rules without addresses
		return 0, Broken
	}
	message := false
	for options = strings.TrimSpace(options); options != ""; options = strings.TrimSpace(options) {
		name, value, rest, ok := idsOption(options)
		switch options = rest; {
		case !ok:
			return 0, Broken
		case slices.Contains(idsUnsafe, name):
			return 0, Unsafe
		case name == "msg":
			message = strings.HasPrefix(value, `"`)
		case name == "sid":
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil || n == 0 || sid != 0 {
				return 0, Broken
			}
			sid = uint32(n)
		case name == "rev" || name == "gid":
			if _, err := strconv.ParseUint(value, 10, 32); err != nil {
				return 0, Broken
			}
		}
	}
	if sid == 0 || !message {
		return 0, Broken
	}
	return sid, ""
}

// idsHeader divides a rule into the words before the options, and the options. A list in
// brackets is one word.
func idsHeader(rule string) (words []string, options string, ok bool) {
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	depth := 0
	for i := range len(rule) {
		switch c := rule[i]; {
		case c == '(':
			end()
			ok = depth == 0 && len(words) > 0 && strings.HasSuffix(rule, ")")
			return words, strings.TrimSuffix(rule[i+1:], ")"), ok
		case c == '[':
			depth++
			word.WriteByte(c)
		case c == ']':
			if depth--; depth < 0 {
				return nil, "", false
			}
			word.WriteByte(c)
		case c != ' ' && c != '\t':
			if strings.IndexByte(letters+digits+"$!,.:/->-<", c) < 0 {
				return nil, "", false
			}
			word.WriteByte(c)
		case depth == 0:
			end()
		}
	}
	return nil, "", false
}

// idsOption reads the first option. A semicolon ends it unless it is escaped, in quotes
// too. Its quotes are balanced.
func idsOption(options string) (name, value, rest string, ok bool) {
	quotes := 0
	for i := 0; i < len(options); i++ {
		switch options[i] {
		case '\\':
			i++
		case '"':
			quotes++
		case ';':
			name, value, _ = strings.Cut(options[:i], ":")
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			ok = quotes%2 == 0 && name != "" && strings.Trim(name, letters+digits+".-") == ""
			return strings.ToLower(name), value, options[i+1:], ok
		}
	}
	return "", "", "", false
}
