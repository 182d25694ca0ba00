package fusion

import (
	"slices"

	"comity/stix"
	"comity/stix/pattern"
	"comity/stix/rawjson"
)

// readPattern reads the contributions of an indicator without an infrastructure.
func (r *reader) readPattern(indicator stix.Object) {
	c := r.base(indicator)
	r.addIndicator(&c, indicator)
	c.Kind = Other
	for e := rawjson.ElementsOf(rawjson.Member(indicator.Raw, "kill_chain_phases")); e.Next(); {
		if phase, _ := rawjson.Text(rawjson.Member(e.Value, "phase_name")); string(phase) == "command-and-control" {
			c.Kind = C2
		}
	}
	for _, rel := range r.out[indicator.ID] {
		if target, ok := r.find(rel.target); ok && rel.kind == "indicates" && !rel.Revoked && target.Type == "malware" {
			c.Family = text(target, "name")
			c.readFrom(rel.Object, r.label(rel.Object))
		}
	}
	r.patternValues(c, indicator)
}

// patternValues makes a contribution of each value that the pattern of an indicator
// claims. A conditional pattern claims none: the indicator itself is the value then,
// which is not counted, and its sender is told why.
func (r *reader) patternValues(c Contribution, indicator stix.Object) {
	if kind := text(indicator, "pattern_type"); kind != "stix" {
		return
	}
	parsed, err := pattern.Parse(text(indicator, "pattern"), pattern.Lenient)
	if err != nil {
		r.refused = append(r.refused, Refusal{indicator.ID, err.Error()})
		return
	}
	claims, condition := parsed.Claims()
	claims = slices.DeleteFunc(claims, func(claim pattern.Claim) bool {
		path := claim.Path
		return !contributes(path.Type) || len(path.Steps) != 1 || path.Steps[0].Key != "value" || claim.Value.Kind != pattern.String
	})
	if condition != "" || slices.ContainsFunc(claims, func(claim pattern.Claim) bool { return claim.Op != pattern.Equal }) {
		c.Value = stix.Value{Type: "indicator", Text: string(indicator.ID)}
		r.all = append(r.all, c)
		return
	}
	for _, claim := range claims {
		value, err := stix.NormalValue(claim.Path.Type, claim.Value.Text)
		if err != nil {
			r.refused = append(r.refused, Refusal{indicator.ID, err.Error()})
			continue
		}
		c.Value = value
		r.all = append(r.all, c)
	}
}
