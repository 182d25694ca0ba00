package audit

import "time"

// Covers tells whether a record added at date may be among what a Delivery or a
// Gap is about; of any other act it is false.
//
// A delivery covers From, the date of the first record it gave, to To, that of
// the last, both inclusive. Which records between were shown depends on its
// Match and View, and only a store can tell. A gap covers every record that
// there was before it ended: what was added long before may have been fetched
// in it.
func (e *Entry) Covers(date time.Time) bool {
	switch e.Act {
	case Delivery:
		return e.From != nil && e.To != nil && !date.Before(*e.From) && !date.After(*e.To)
	case Gap:
		return e.To == nil || !date.After(*e.To)
	}
	return false
}
