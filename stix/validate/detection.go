package validate

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// detectionSyntax are the checks of patterns in other languages than that of
// STIX, by pattern_type. Each returns a fault for which engines of the language refuse
// the pattern, "" if it found none. None is a full parser: a pattern without a
// fault found here may still be wrong.
var detectionSyntax = map[string]func(pattern string) string{
	"sigma": sigmaFault, "snort": networkRuleFault, "suricata": networkRuleFault, "yara": yaraFault,
}

// yaraFault checks that texts, comments and braces end, that there is a rule, and that
// each rule has a condition.
func yaraFault(pattern string) string {
	code, fault := yaraCode(pattern)
	if fault != "" {
		return fault
	}
	rules := yaraRule.FindAllStringIndex(code, -1)
	if rules == nil {
		return "expected a rule: rule name { condition: … }"
	}
	for i, rule := range rules {
		end := len(code)
		if i+1 < len(rules) {
			end = rules[i+1][0]
		}
		switch body := code[rule[1]:end]; {
		case strings.Count(body, "{")+1 != strings.Count(body, "}"):
			return "the braces of a rule are not balanced"
		case !yaraCondition.MatchString(body):
			return "a rule has no condition"
		}
	}
	return ""
}

var (
	yaraRule      = regexp.MustCompile(`\brule\s+[A-Za-z_]\w*\s*(:[\w\s]*)?\{`)
	yaraCondition = regexp.MustCompile(`\bcondition\s*:`)
)

// yaraCode is a pattern without the content of its texts, regular expressions
// and comments. A slash always begins one of the latter two, since YARA divides by \.
func yaraCode(pattern string) (code, fault string) {
	var b strings.Builder
	for rest := pattern; ; {
		i := strings.IndexAny(rest, `"/`)
		if i < 0 {
			b.WriteString(rest)
			return b.String(), ""
		}
		b.WriteString(rest[:i])
		var end int
		switch rest = rest[i:]; {
		case strings.HasPrefix(rest, "//"):
			end = len(rest)
			if newline := strings.IndexByte(rest, '\n'); newline >= 0 {
				end = newline
			}
		case strings.HasPrefix(rest, "/*"):
			if end = strings.Index(rest[2:], "*/"); end < 0 {
				return "", "a comment does not end"
			}
			end += len("/*") + len("*/")
		default:
			if end = closing(rest); end < 0 {
				return "", "a text or regular expression does not end"
			}
		}
		b.WriteByte(' ')
		rest = rest[end:]
	}
}

// closing is the index behind the delimiter that ends the text at the beginning of s;
// -1 if the line ends before it. The first byte of s is the delimiter. A backslash
// escapes the character behind it.
func closing(s string) int {
	for i := 1; i < len(s) && s[i] != '\n'; i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return i + 1
		}
	}
	return -1
}

// sigmaFault checks that a rule has the required keys and is not indented by tabs,
// which YAML does not allow.
func sigmaFault(pattern string) string {
	var keys []string
	condition := false
	for line := range strings.Lines(pattern) {
		text := strings.TrimLeft(line, " ")
		key, _, isKey := strings.Cut(text, ":")
		switch {
		case strings.HasPrefix(line, "\t") && strings.TrimSpace(line) != "":
			return "a line is indented by a tab, which YAML does not allow"
		case isKey && text == line:
			keys = append(keys, strings.Trim(key, `"'`))
		case isKey && strings.Trim(key, `"'`) == "condition":
			condition = true
		}
	}
	needed := []string{"title", "logsource", "detection"}
	if slices.Contains(keys, "correlation") {
		needed, condition = needed[:1], true
	}
	for _, key := range needed {
		if !slices.Contains(keys, key) {
			return "a rule has no " + key
		}
	}
	if !condition {
		return "the detection has no condition"
	}
	return ""
}

// ruleActions are the actions of Snort 2 and 3 and of Suricata.
var ruleActions = []string{
	"activate", "alert", "block", "config", "drop", "dynamic", "file_id", "log", "pass", "react", "reject",
	"rejectboth", "rejectdst", "rejectsrc", "rewrite", "sdrop",
}

// networkRuleFault checks the rules of Snort and Suricata: an action, a header,
// and options in parentheses, each with a semicolon behind it, of which one is
// the sid. A rule may go on in the next line.
func networkRuleFault(pattern string) string {
	var rule strings.Builder
	rules := 0
	for line := range strings.Lines(pattern) {
		line = strings.TrimSuffix(strings.TrimSpace(line), `\`)
		if line == "" || rule.Len() == 0 && strings.HasPrefix(line, "#") {
			continue
		}
		rule.WriteString(line + " ")
		if !strings.HasSuffix(line, ")") {
			continue
		}
		if fault := oneRuleFault(strings.TrimSpace(rule.String())); fault != "" {
			return fault
		}
		rule.Reset()
		rules++
	}
	if rule.Len() > 0 || rules == 0 {
		return "expected a rule: alert tcp any any -> any any (msg:\"…\"; sid:1;)"
	}
	return ""
}

func oneRuleFault(rule string) string {
	header, options, found := strings.Cut(strings.TrimSuffix(rule, ")"), "(")
	action := header
	if end := strings.IndexFunc(header, unicode.IsSpace); end >= 0 {
		action = header[:end]
	}
	switch {
	case !slices.Contains(ruleActions, action):
		return quote([]byte(action)) + " is no action, such as alert"
	case !found:
		return "a rule has no options in parentheses"
	}
	var sid bool
	for options = strings.TrimSpace(options); options != ""; options = strings.TrimSpace(options) {
		end := optionEnd(options)
		if end < 0 {
			return "an option has no semicolon behind it, or a text does not end"
		}
		key, _, _ := strings.Cut(options[:end], ":")
		sid = sid || strings.TrimSpace(key) == "sid"
		options = options[end+1:]
	}
	if !sid {
		return "a rule has no sid"
	}
	return ""
}

// optionEnd is the index of the semicolon that ends the first option, -1 if there
// is none. Semicolons in texts, and those behind a backslash, end nothing.
func optionEnd(options string) int {
	for i := 0; i < len(options); i++ {
		switch options[i] {
		case '\\':
			i++
		case '"':
			n := closing(options[i:])
			if n < 0 {
				return -1
			}
			i += n - 1
		case ';':
			return i
		}
	}
	return -1
}
