package fusion

import "time"

// Severity says how urgent a finding is.
type Severity string

// The severities. Findings that are neither servers nor websites are Unrated.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
	Unrated  Severity = ""
)

const (
	active       = 14 * 24 * time.Hour // a server seen since then is in use
	quiet        = 60 * 24 * time.Hour // one not seen since then may be gone
	corroborated = 70                  // the confidence of two origins
)

// SeverityAt rates a finding at a moment. exposed says that personal data is open to
// others there.
func (f *Finding) SeverityAt(at time.Time, exposed bool) Severity {
	unseen := at.Sub(f.Last)
	switch {
	case f.Kind == Website && (f.Confidence >= corroborated || exposed):
		return f.ifGovernment(Critical, High)
	case f.Kind == Website:
		return f.ifGovernment(High, Medium)
	case f.Kind != C2:
		return Unrated
	case f.Confidence >= corroborated && unseen <= active:
		return High
	case unseen > quiet:
		return f.ifGovernment(Medium, Low)
	}
	return Medium
}

// ifGovernment returns the first severity for a finding of a government, else the second.
func (f *Finding) ifGovernment(government, others Severity) Severity {
	if f.Government {
		return government
	}
	return others
}
