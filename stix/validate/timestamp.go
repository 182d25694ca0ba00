package validate

import (
	"bytes"

	"comity/stix"
	"comity/stix/rawjson"
)

// timestamp checks the form of a timestamp, that its date exists, and
// its precision.
func (c *checker) timestamp(t *valueType, s []byte) {
	fraction, ok := timestampForm(s)
	if !ok {
		c.fault("R-031", "%s is no timestamp: write it as 2017-08-07T09:00:00.000Z", quote(s))
		return
	}
	if !timeExists(s) {
		c.fault("R-032", "%s is no date and time that exists", quote(s))
		return
	}
	switch {
	case t.kind == millisecondsValue && len(fraction) < 3:
		// An observable can have it only as a custom property.
		c.report(c.shape.class == "sco", "R-034", "%s has fewer than three digits of a second", quote(s))
	case t.kind == secondsValue && len(fraction) > 0:
		zero := len(bytes.TrimRight(fraction, "0")) == 0
		c.report(zero, "R-036", "%s has a fraction of a second", quote(s))
	}
}

// timestampForm tells whether s is YYYY-MM-DDTHH:MM:SS[.s+]Z, and returns
// the digits of its fraction.
func timestampForm(s []byte) (fraction []byte, ok bool) {
	const form = "dddd-dd-ddTdd:dd:dd"
	if len(s) < len(form)+1 || s[len(s)-1] != 'Z' {
		return nil, false
	}
	for i := range len(form) {
		if form[i] == 'd' && (s[i] < '0' || s[i] > '9') || form[i] != 'd' && s[i] != form[i] {
			return nil, false
		}
	}
	rest := s[len(form) : len(s)-1]
	if len(rest) == 0 {
		return nil, true
	}
	if rest[0] != '.' || len(rest) == 1 {
		return nil, false
	}
	for _, b := range rest[1:] {
		if b < '0' || b > '9' {
			return nil, false
		}
	}
	return rest[1:], true
}

// timeExists tells whether a timestamp of the right form names an instant.
func timeExists(s []byte) bool {
	number := func(i int) int { return int(s[i]-'0')*10 + int(s[i+1]-'0') }
	if month, day := number(5), number(8); month >= 1 && month <= 12 && day >= 1 && day <= 28 {
		return number(11) <= 23 && number(14) <= 59 && number(17) <= 60
	}
	_, err := stix.ParseTimestamp(string(s))
	return err == nil
}

// before tells whether the JSON string later names an earlier instant than
// earlier does. It is false if one is no timestamp.
func before(later, earlier []byte) bool {
	if bytes.Equal(later, earlier) {
		return false // as modified and created mostly are
	}
	order, ok := compareTimes(later, earlier)
	return ok && order < 0
}

// notAfter tells whether later is not after earlier.
func notAfter(later, earlier []byte) bool {
	order, ok := compareTimes(later, earlier)
	return ok && order <= 0
}

// compareTimes compares by value, to the last digit. The fields have
// a fixed width, so the order of their texts is the order of their values.
func compareTimes(a, b []byte) (order int, ok bool) {
	at, aOK := rawjson.Text(a)
	bt, bOK := rawjson.Text(b)
	if !aOK || !bOK {
		return 0, false
	}
	af, aOK := timestampForm(at)
	bf, bOK := timestampForm(bt)
	if !aOK || !bOK {
		return 0, false
	}
	if order = bytes.Compare(at[:19], bt[:19]); order == 0 {
		order = bytes.Compare(bytes.TrimRight(af, "0"), bytes.TrimRight(bf, "0"))
	}
	return order, true
}
