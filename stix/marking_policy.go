package stix

import (
	"strings"

	"comity/stix/rawjson"
)

// IEP has the rules of use of an Information Exchange Policy 2.0 (FIRST). Both are words
// of the policy, "" if they are absent or no string.
type IEP struct {
	PermittedActions string // none, contact-for-instruction or <scope>-visible-…-actions
	Notifications    string // affected_party_notifications: may or must-not
}

// MarkingIEP reads a marking definition, which is compact and valid JSON; ok
// is whether it carries an IEP 2.0 policy (OASIS common objects, draft of
// December 2022). The dates of the policy are not read: one that has ended
// still restricts what was sent under it.
func MarkingIEP(definition []byte) (policy IEP, ok bool) {
	content := extension(definition, iepExtension)
	if content == nil {
		return IEP{}, false
	}
	policy.PermittedActions, _ = text(rawjson.Member(content, "permitted_actions"))
	policy.Notifications, _ = text(rawjson.Member(content, "affected_party_notifications"))
	return policy, true
}

// DeniesSharing tells whether a marking definition, compact and valid JSON,
// carries an ACS 3.0 marking under which data are not to be passed on unless a
// rule says so.
//
// The default stands in policy_reference, a list of URNs parted by spaces:
// urn:isa:policy:acs:ns:v3.0?privdefault=deny&sharedefault=deny. Converted STIX
// 1 has a second "?" in place of "&". One URN that denies is enough; and as the
// property is required, a marking without a default denies too. Who is exempt
// (further_sharing) names organisations of one government and is not read.
func DeniesSharing(definition []byte) bool {
	content := extension(definition, acsExtension)
	if content == nil {
		return false
	}
	reference, _ := text(rawjson.Member(content, "policy_reference"))
	reference = strings.ToLower(reference)
	return strings.Contains(reference, "sharedefault=deny") || !strings.Contains(reference, "sharedefault=permit")
}

// extension is the content of one extension of an object, nil if it has none.
func extension(object []byte, id string) []byte {
	return rawjson.Member(rawjson.Member(object, "extensions"), id)
}
