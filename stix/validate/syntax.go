package validate

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"comity/stix"
)

// FromError makes a finding of what reading refused: a [*stix.SyntaxError], a
// [*stix.FormError] or a [*stix.Error]. Of the first two the path leads into
// the document, of the last into the object. ok is false for other errors.
func FromError(err error) (f Finding, ok bool) {
	var (
		syntax *stix.SyntaxError
		form   *stix.FormError
		object *stix.Error
	)
	switch {
	case errors.As(err, &syntax):
		return Finding{Rule: syntaxRule(syntax.Text), Path: syntax.Path, Message: syntax.Text}, true
	case errors.As(err, &form):
		return Finding{Rule: "R-002", Message: form.Text}, true
	case errors.As(err, &object):
		return Finding{Rule: object.Rule, Path: object.Path, Message: object.Text}, true
	}
	return Finding{}, false
}

// syntaxRule tells which rule a text breaks that is no I-JSON, by what
// jsontext says of it: UTF-8 without byte order mark, no duplicate
// names, no half of a surrogate pair, no NaN or Infinity
// bounded depth, JSON at all.
func syntaxRule(text string) string {
	switch has := func(s string) bool { return strings.Contains(text, s) }; {
	case has("invalid UTF-8"), has(`'\ufeff'`):
		return "R-001"
	case has("duplicate object member name"):
		return "R-003"
	case has("surrogate"):
		return "R-005"
	case has("'N' at start of value"), has("'I'"):
		return "R-009"
	case has("depth"), has("deeper"):
		return "R-180"
	}
	return "R-002"
}

// fromJSON makes a finding of an error of jsontext; ok is false for one of the
// reader beneath it.
func fromJSON(err error) (f Finding, ok bool) {
	var syntactic *jsontext.SyntacticError
	if !errors.As(err, &syntactic) {
		return Finding{}, false
	}
	e := &stix.SyntaxError{Path: string(syntactic.JSONPointer), Text: syntactic.Err.Error()}
	return FromError(e)
}
