package exchange

// Clients are the products an account can be made for. Those in emptyList
// break on the {} that TAXII 2.1 demands for an empty result.
var (
	Clients   = []string{"curl", "elastic", "ibm", "kaspersky", "misp", "opencti", "sentinel", "splunk", "taxii2-client", "xsoar"}
	emptyList = map[string]bool{"elastic": true, "ibm": true, "kaspersky": true, "opencti": true, "xsoar": true}
)

// EmptyList tells whether the account's client needs an empty envelope to be
// {"more":false,"objects":[]}.
func (p Principal) EmptyList() bool { return emptyList[p.For] }
