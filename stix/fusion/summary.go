package fusion

// Summary counts an operation's findings of one kind, without the held ones.
type Summary struct {
	Findings     int
	ByCountry    map[string]int
	ByOrigins    map[int]int // by number of origins
	ByConfidence map[int]int
	Corroborated int // with two origins or more
	Disagreeing  int // with an origin that names another country
	Government   int
	Strict       int
}

// Summarise counts the findings of a kind.
func Summarise(kind Kind, findings []Finding) Summary {
	s := Summary{ByCountry: map[string]int{}, ByOrigins: map[int]int{}, ByConfidence: map[int]int{}}
	for i := range findings {
		if f := &findings[i]; f.Kind == kind && f.Held == "" {
			s.count(f)
		}
	}
	return s
}

func (s *Summary) count(f *Finding) {
	s.Findings++
	s.ByCountry[f.Country]++
	s.ByOrigins[len(f.Origins)]++
	s.ByConfidence[f.Confidence]++
	for _, is := range []struct {
		so    bool
		count *int
	}{
		{len(f.Origins) > 1, &s.Corroborated}, {f.Disagreeing > 0, &s.Disagreeing},
		{f.Government, &s.Government}, {f.Strict, &s.Strict},
	} {
		if is.so {
			*is.count++
		}
	}
}
