package stix

import "iter"

// DidYouMean suggests the choice that an unknown word may stand for, as the end of a
// message: "; did you mean tool?". It is the one that differs by the fewest letters, at most
// two and less than half of them; of several, the first in alphabetical order. DidYouMean is
// "" if there is none.
func DidYouMean(word string, choices iter.Seq[string]) string {
	nearest, least := "", 3
	for choice := range choices {
		if n := distance(word, choice); n < least || n == least && choice < nearest {
			nearest, least = choice, n
		}
	}
	if nearest == "" || 2*least >= len(word) {
		return ""
	}
	return "; did you mean " + nearest + "?"
}

// distance is the number of letters to add, drop or change; 3 for words whose
// lengths differ by more than two.
func distance(s, t string) int {
	if d := len(s) - len(t); d > 2 || d < -2 {
		return 3
	}
	var buffer [64]int // most words fit, and then nothing is allocated
	row := buffer[:0]
	for j := range len(t) + 1 {
		row = append(row, j)
	}
	for i := range len(s) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(t) {
			change := diagonal
			if s[i] != t[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(t)]
}
