package console

// Circles are the circles of a map of these counts; nil if there is none.
func Circles(counts map[string]int) []circle {
	if m := mapOf(counts); m != nil {
		return m.Circles
	}
	return nil
}
