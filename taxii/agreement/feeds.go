package agreement

// Feeds bounds the feeds for security tools that may be made of the objects of a flow. In
// [Terms] every field has its value; in an [Agreement], a key that the file leaves out is
// zero.
type Feeds struct {
	Block
	Actions           []string `toml:"actions" form:"oneof search lookup block notify"`                        // what a tool may do with a feed; with none there are no feeds
	Formats           []string `toml:"formats,filled" form:"oneof list rules rpz misp bouncer stream webhook"` // families of formats
	Hold              Duration `toml:"hold"`                                                                   // how long a tool may act on a feed that it cannot refresh
	MinConfidence     int64    `toml:"min_confidence" form:"percent"`                                          // of an object in a feed to block; an object without confidence has 0
	RequireValidUntil bool     `toml:"require_valid_until"`                                                    // an object without valid_until is in no feed
	URLCredentials    bool     `toml:"url_credentials"`                                                        // the URL of a feed may contain its secret
	AtEnd             string   `toml:"at_end" form:"oneof empty gone"`                                         // EmptyAtEnd or GoneAtEnd
}

// defaultFeeds are the terms of feeds if no agreement has a [feeds] block.
func defaultFeeds() Feeds {
	return Feeds{
		Actions: []string{"search", "lookup", "block", "notify"},
		Formats: []string{"list", "rules", "rpz", "misp", "bouncer", "stream", "webhook"},
		Hold:    Duration{text: "P1D", days: 1},
		AtEnd:   EmptyAtEnd,
	}
}

func (f *Feeds) limits() []limit {
	return []limit{
		{"feeds", "actions", fewer, &f.Actions, nil},
		{"feeds", "formats", fewer, &f.Formats, nil},
		{"feeds", "hold", lower, &f.Hold, nil},
		{"feeds", "min_confidence", higher, &f.MinConfidence, nil},
		{"feeds", "require_valid_until", higher, &f.RequireValidUntil, []string{"false", "true"}},
		{"feeds", "url_credentials", lower, &f.URLCredentials, []string{"false", "true"}},
		{"feeds", "at_end", unordered, &f.AtEnd, nil},
	}
}

// Narrow is the terms with which a reader letter opens a flow: for each key that the block
// of the letter sets, the stricter of its value and the flow's; for at_end, which has no
// stricter value, the letter's. The block is nil if the letter has none.
func (f *Feeds) Narrow(flow Feeds) Feeds {
	if f == nil {
		return flow
	}
	narrowed := flow
	letters, flows := f.limits(), flow.limits()
	for i, l := range narrowed.limits() {
		if f.has(l.key) {
			l.set(letters[i])
			l.tighten(flows[i])
		}
	}
	return narrowed
}
