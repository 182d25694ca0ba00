package operation

import (
	"context"

	"github.com/google/uuid"

	"comity/stix/report"
)

// Board is what an audience sees of an operation at a glance.
type Board struct {
	Stats         Stats
	Contributions []Contribution // as [Runner.Contributions] gives them; none for a bureau
	Reports       []Report       // as [Runner.Reports] gives them
	Weeks         []report.Week  // when the findings were first seen
}

// Board is the board of an audience. It is worked out only if something has changed since
// somebody of that audience last looked. The caller must not change it.
func (r *Runner) Board(ctx context.Context, id, as string) (*Board, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o, err := r.upToDate(ctx, id)
	if err != nil {
		return nil, err
	}
	if b := o.board[as]; b != nil {
		return b, nil
	}
	v, err := o.view(ctx, as)
	if err != nil {
		return nil, err
	}
	b := &Board{Stats: v.stats(), Weeks: v.weeks()}
	if !v.bureau {
		if b.Contributions, err = v.contributions(ctx); err != nil {
			return nil, err
		}
	}
	if b.Reports, err = v.reports(ctx); err != nil {
		return nil, err
	}
	if o.board == nil {
		o.board = map[string]*Board{}
	}
	o.board[as] = b
	return b, nil
}

// shows tells whether a board shows something that is read from a collection.
func (o *operation) shows(collection uuid.UUID) bool {
	if o.inputs[collection] != nil || o.inboxes[collection] != nil {
		return true
	}
	for _, c := range o.bureauCollections {
		if c.ID == collection {
			return true
		}
	}
	for _, c := range o.returnCollections {
		if c.ID == collection {
			return true
		}
	}
	return false
}
