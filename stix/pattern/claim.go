package pattern

import "net/netip"

// Claim is a value that is enough for a pattern to match: each object that has it
// matches, alone.
type Claim struct {
	Path  Path
	Op    Operator // Equal, Like, IsSubset
	Value Constant
}

// Claims lists the claims of a pattern, in order of the text; IN gives one claim of
// Equal for each constant. A pattern claims something only if all of it is an OR
// of plain tests with =, IN, LIKE or ISSUBSET. Of any other it is nil, and
// condition is the first keyword that makes the pattern conditional, such as AND,
// FOLLOWEDBY, NOT, WITHIN or MATCHES.
//
// The one AND that claims something joins the address to which a network-traffic
// object refers with the ports of that object, as in
//
//	[network-traffic:dst_ref.value = '198.51.100.3' AND network-traffic:dst_port = 443]
//
// The type of the address may be tested too. The claim has the path
// ipv4-addr:value or ipv6-addr:value, also where the pattern names no port.
func (p *Pattern) Claims() (claims []Claim, condition string) {
	if condition = p.Root.claims(&claims); condition != "" {
		return nil, condition
	}
	return claims, ""
}

func (x *Expr) claims(to *[]Claim) (condition string) {
	switch {
	case len(x.Qualifiers) > 0:
		return [...]string{StartStop: "START", Within: "WITHIN", Repeats: "REPEATS"}[x.Qualifiers[0].Kind]
	case x.Where != nil:
		return x.Where.claims(to)
	case x.Join == And || x.Join == FollowedBy:
		return x.Join.String()
	}
	for _, operand := range x.Of {
		if condition = operand.claims(to); condition != "" {
			return condition
		}
	}
	return ""
}

func (c *Comparison) claims(to *[]Claim) (condition string) {
	switch {
	case c.Test != nil:
		return c.Test.claims(to)
	case c.Join == And:
		claim, ok := c.trafficClaim()
		if !ok {
			return And.String()
		}
		*to = append(*to, claim)
		return ""
	}
	for _, operand := range c.Of {
		if condition = operand.claims(to); condition != "" {
			return condition
		}
	}
	return ""
}

func (t *Test) claims(to *[]Claim) (condition string) {
	op := t.Op
	switch {
	case t.Not:
		return "NOT"
	case op == In:
		op = Equal
	case op != Equal && op != Like && op != IsSubset:
		return op.String()
	}
	for _, value := range t.Constants {
		claim := Claim{t.Path, op, value}
		if address, ok := t.Path.trafficAddress(value); ok && op == Equal {
			claim.Path = address
		}
		*to = append(*to, claim)
	}
	return ""
}

// trafficClaim is the address that a network-traffic object refers to, if the
// other tests are of its ports and of the type of that address.
func (c *Comparison) trafficClaim() (claim Claim, ok bool) {
	ref := ""
	for _, operand := range c.Of {
		t := operand.Test
		if t == nil || t.Not || t.Path.Type != "network-traffic" {
			return Claim{}, false
		}
		if t.Op == Equal {
			if address, is := t.Path.trafficAddress(t.Constants[0]); is && !ok {
				claim, ref, ok = Claim{address, Equal, t.Constants[0]}, t.Path.Steps[0].Key, true
			}
		}
	}
	for _, operand := range c.Of {
		steps := operand.Test.Path.Steps
		port := len(steps) == 1 && (steps[0].Key == "src_port" || steps[0].Key == "dst_port")
		ofRef := len(steps) == 2 && steps[0].Key == ref && operand.Test.Op == Equal &&
			(steps[1].Key == "type" && operand.Test.Constants[0].Text == claim.Path.Type || steps[1].Key == "value" && operand.Test.Constants[0] == claim.Value)
		if !port && !ofRef {
			return Claim{}, false
		}
	}
	return claim, ok
}

// trafficAddress is the path of an address as an object of its own, if p is the
// path of an address to which a network-traffic object refers.
func (p Path) trafficAddress(value Constant) (address Path, ok bool) {
	if p.Type != "network-traffic" || len(p.Steps) != 2 || p.Steps[1].Key != "value" ||
		p.Steps[0].Key != "src_ref" && p.Steps[0].Key != "dst_ref" {
		return Path{}, false
	}
	addr, err := netip.ParseAddr(value.Text)
	if err != nil {
		return Path{}, false
	}
	address = Path{"ipv6-addr", p.Steps[1:]}
	if addr.Is4() {
		address.Type = "ipv4-addr"
	}
	return address, true
}
