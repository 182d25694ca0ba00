package exchange

import (
	"cmp"

	"comity/stix"
	"comity/taxii/agreement"
)

// permitted are the actions that each value of IEP's permitted_actions allows, apart
// from notifying. Any other value allows nothing, as "none" and
// "contact-for-instruction" do.
var permitted = map[string]Actions{
	"internally-visible-actions":          Search,
	"externally-visible-indirect-actions": Search | Lookup,
	"externally-visible-direct-actions":   Search | Lookup | Block,
}

// barredUnderIEP are the actions that a policy does not allow. Notifying is visible
// to others, so it is allowed only where direct actions are.
func barredUnderIEP(policy stix.IEP) Actions {
	allowed := permitted[policy.PermittedActions]
	if allowed&Block != 0 && policy.Notifications == "may" {
		allowed |= Notify
	}
	return AllActions &^ allowed
}

// barredUnderPAP are the actions that a level does not allow.
func barredUnderPAP(level stix.PAP) Actions {
	switch level {
	case stix.PAPClear, stix.PAPGreen:
		return 0
	case stix.PAPAmber:
		return Block | Notify
	}
	return AllActions &^ Search
}

// barredBy are the actions that the [handling.iep] block of an agreement bars for
// objects without a PAP or IEP marking. A key that the block leaves out bars nothing,
// unlike in a marking. Without a block nothing is barred.
func barredBy(iep *agreement.IEP) Actions {
	if iep == nil {
		return 0
	}
	return barredUnderIEP(stix.IEP{
		PermittedActions: cmp.Or(iep.PermittedActions, "externally-visible-direct-actions"),
		Notifications:    cmp.Or(iep.Notifications, "may"),
	})
}

// effectOfID is the effect of a TLP or PAP marking, which are known by their ids; not
// ok for any other marking.
func effectOfID(marking stix.ID) (s strictness, ok bool) {
	if label, ok := stix.MarkingTLP(marking); ok {
		return strictness{tlp: rankOf(label)}, true
	}
	if level, ok := stix.MarkingPAP(marking); ok {
		return strictness{pap: rankOf(level), limitsUse: true, barred: barredUnderPAP(level)}, true
	}
	return strictness{}, false
}

// effectOfDefinition is the effect of a marking definition by its content: an IEP
// policy bars actions, and an ACS marking that denies sharing counts as RED.
// Statements and other definitions have none.
func effectOfDefinition(definition []byte) (s strictness) {
	if policy, ok := stix.MarkingIEP(definition); ok {
		s.limitsUse, s.barred = true, barredUnderIEP(policy)
	}
	if stix.DeniesSharing(definition) {
		s.tlp = rankOf(stix.Red)
	}
	return s
}
