package operation

import (
	"context"
	"maps"
	"time"

	"github.com/google/uuid"

	"comity/stix/report"
)

// Board is what an audience sees of an operation at a glance.
type Board struct {
	Stats         Stats
	Contributions []Contribution // as [Runner.Contributions] gives them; none for a bureau
	Reports       []Report       // as [Runner.Reports] gives them
	Weeks         []report.Week  // when the findings were first seen

	At       time.Time // when it was made
	Outdated bool      // something may have changed since, and a newer one is being made
}

// boardKey names the board of an audience of an operation.
type boardKey struct{ operation, as string }

// keptBoard is the last board of an audience, and the version of the operation that it shows.
type keptBoard struct {
	*Board
	version int
}

// boardCall makes a board for all who ask for it before it begins.
type boardCall struct {
	done  chan struct{} // closed when the board is made, or err is set
	board *Board
	err   error
}

// patience is how long Board waits for a new board if there is an older one.
const patience = 50 * time.Millisecond

// Board is the board of an audience. It is made only if something has changed since the last
// one. If that takes long, or another call holds the operation for long, the result is the
// last board, marked as outdated. The caller must not change it.
func (r *Runner) Board(ctx context.Context, id, as string) (*Board, error) {
	key := boardKey{id, as}
	r.boards.Lock()
	last, call := r.kept[key], r.waiting[key]
	if call == nil {
		call = &boardCall{done: make(chan struct{})}
		r.waiting[key] = call
		r.making.Go(func() { r.makeBoard(context.WithoutCancel(ctx), key, call) })
	}
	r.boards.Unlock()
	var late <-chan time.Time // never, without an older board
	if last.Board != nil {
		late = time.After(patience)
	}
	select {
	case <-call.done:
		return call.board, call.err
	case <-late:
		board := *last.Board
		board.Outdated = true
		return &board, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// makeBoard makes a board when no other call holds the operations.
func (r *Runner) makeBoard(ctx context.Context, key boardKey, call *boardCall) {
	defer close(call.done)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.boards.Lock()
	delete(r.waiting, key) // a later call may know of changes that this board does not show
	r.boards.Unlock()
	o, err := r.upToDate(ctx, key.operation)
	if err == nil {
		call.board, err = o.boardOf(ctx, key.as)
	}
	if call.err = err; err != nil {
		r.dropBoards(func(k boardKey) bool { return k == key })
	}
}

// dropBoards drops the boards that are kept under some keys.
func (r *Runner) dropBoards(drop func(boardKey) bool) {
	r.boards.Lock()
	defer r.boards.Unlock()
	maps.DeleteFunc(r.kept, func(k boardKey, _ keptBoard) bool { return drop(k) })
}

// boardOf is the board of an audience of the operation, which is up to date. It is kept.
func (o *operation) boardOf(ctx context.Context, as string) (*Board, error) {
	r, key := o.runner, boardKey{o.text.ID, as}
	r.boards.Lock()
	last := r.kept[key]
	r.boards.Unlock()
	if last.Board != nil && last.version == o.version {
		return last.Board, nil
	}
	v, err := o.view(ctx, as)
	if err != nil {
		return nil, err
	}
	b := &Board{Stats: v.stats(), Weeks: v.weeks(), At: r.now()}
	if !v.bureau {
		if b.Contributions, err = v.contributions(ctx); err != nil {
			return nil, err
		}
	}
	if b.Reports, err = v.reports(ctx); err != nil {
		return nil, err
	}
	r.boards.Lock()
	defer r.boards.Unlock()
	r.kept[key] = keptBoard{b, o.version}
	return b, nil
}

// renewBoard makes the board of the centre, if one is kept, after a person has changed the
// operation: the page that the person sees next shows the change.
func (o *operation) renewBoard(ctx context.Context) error {
	centre := o.runner.snapshot.Policy.Centre().ID
	o.runner.boards.Lock()
	_, kept := o.runner.kept[boardKey{o.text.ID, centre}]
	o.runner.boards.Unlock()
	if !kept {
		return nil
	}
	_, err := o.boardOf(ctx, centre)
	return err
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
