package exchange

import (
	"cmp"

	"comity/stix"
	"comity/taxii/agreement"
)

// permitted are the actions that a word of IEP allows (§2.5), so far as
// nobody is to be notified. What it does not know allows nothing, as "none"
// and "contact-for-instruction" do.
var permitted = map[string]Actions{
	"internally-visible-actions":          Search,
	"externally-visible-indirect-actions": Search | Lookup,
	"externally-visible-direct-actions":   Search | Lookup | Block,
}

// barredUnderIEP is what a policy does not allow. Notifying is an action that
// shows, so it needs direct actions too.
func barredUnderIEP(policy stix.IEP) Actions {
	allowed := permitted[policy.PermittedActions]
	if allowed&Block != 0 && policy.Notifications == "may" {
		allowed |= Notify
	}
	return AllActions &^ allowed
}

// barredUnderPAP is what a level does not allow.
func barredUnderPAP(level stix.PAP) Actions {
	switch level {
	case stix.PAPClear, stix.PAPGreen:
		return 0
	case stix.PAPAmber:
		return Block | Notify
	}
	return AllActions &^ Search
}

// barredBy is what the [handling.iep] block of an agreement bars where no
// marking says what may be done. Unlike a marking, which must say it all, a
// block restricts only what it speaks of; without a block nothing is barred.
func barredBy(iep *agreement.IEP) Actions {
	if iep == nil {
		return 0
	}
	return barredUnderIEP(stix.IEP{
		PermittedActions: cmp.Or(iep.PermittedActions, "externally-visible-direct-actions"),
		Notifications:    cmp.Or(iep.Notifications, "may"),
	})
}

// standard is what a marking says by its id alone.
func standard(marking stix.ID) (s strictness, ok bool) {
	if label, ok := stix.MarkingTLP(marking); ok {
		return strictness{tlp: rankOf(label)}, true
	}
	if level, ok := stix.MarkingPAP(marking); ok {
		return strictness{pap: rankOf(level), use: true, barred: barredUnderPAP(level)}, true
	}
	return strictness{}, false
}

// defined is what a marking definition says by its content: an IEP policy what
// may be done, ACS that it must not be passed on. Statements and what else
// there is are shown and never interpreted.
func defined(definition []byte) (s strictness) {
	if policy, ok := stix.MarkingIEP(definition); ok {
		s.use, s.barred = true, barredUnderIEP(policy)
	}
	if stix.DeniesSharing(definition) {
		s.tlp = rankOf(stix.Red)
	}
	return s
}
