// Package feed serves feeds: lists for firewalls, resolvers, mail filters and other tools of
// security teams. A feed is a question that its owner saved. Each answer is made under the
// grants that its account has at that moment, so a feed opens nothing: numbers, dates, tags
// and counts all come after the access decision.
//
// It decides no access and keeps no values of its own: taxii/exchange decides, store has the
// indicators, and stix/feed says what a list holds and how it is written. What is kept in
// memory can be worked out again. The versions of a feed, what MISP and the receivers of webhooks
// were told, and which programs have read a feed, are documents of the store, so all processes on
// a store give the same answers, and go on with them after a restart.
package feed

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
	"comity/taxii/exchange"
	"comity/taxii/follow"

	stixfeed "comity/stix/feed"
)

// Store is the part of a store that feeds are made from.
type Store interface {
	store.Reader
	store.Documents
	follow.Chain
	ChainHead(ctx context.Context) (audit.Head, error)
	Lead(ctx context.Context, duty string, f func(ctx context.Context)) // see store.Processes
}

// Service answers the questions of all feeds. It is safe for concurrent use.
type Service struct {
	store    Store
	current  *exchange.Current
	recorder *audit.Recorder
	key      ed25519.PrivateKey // of the centre; nil: no feed has a secret
	config   Config
	sender   *sender // of webhooks; nil: none are sent
	now      func() time.Time
	log      *slog.Logger

	bodies    *bodyCache
	pins      pins
	mispFeeds mispFeeds

	figures    figures
	changed    broadcast     // woken by each CatchUp
	ending     chan struct{} // closed when streams have to end
	endStreams func()        // closes it

	amending sync.RWMutex // held for reading while a document of a feed is changed

	mu          sync.Mutex             // guards the maps that follow
	definitions map[string]*Definition // by source
	indexes     map[viewKey]*index
	listings    map[listingKey]*keptListing
}

// Config is what an operator may choose.
type Config struct {
	// PublicURL is scheme and host under which subscribers reach the server, such as
	// "https://taxii.example.int", without a path; "" if there is no server.
	PublicURL string
	// Webhooks are the hosts that webhooks may be sent to; nil: this process sends none.
	Webhooks *Targets
	// Dir is a folder for what a new process would have to work out again otherwise. No other
	// process may use it. "" is none.
	Dir string
}

// New makes a Service. [Service.Run] keeps its feeds up to date; without it, each answer
// takes as long as what has changed since the last one. key is that of the centre; without
// it, feeds have no secrets, and there are no zones.
func New(s Store, current *exchange.Current, r *audit.Recorder, key ed25519.PrivateKey, c Config, now func() time.Time, log *slog.Logger) *Service {
	ending := make(chan struct{})
	service := &Service{
		ending: ending, endStreams: sync.OnceFunc(func() { close(ending) }),
		store: s, current: current, recorder: r, key: key, config: c, now: now, log: log, bodies: newBodyCache(), pins: pins{last: map[pinKey]pin{}}, mispFeeds: mispFeeds{feeds: map[string]*mispFeed{}}, figures: figures{feeds: map[string]*figure{}},
		definitions: map[string]*Definition{}, indexes: map[viewKey]*index{}, listings: map[listingKey]*keptListing{},
	}
	if c.Webhooks != nil {
		service.sender = newSender(c.Webhooks)
	}
	return service
}

// urlOf is the URL of a feed; a path if there is no server.
func (s *Service) urlOf(p *exchange.Policy, id string) string {
	return s.config.PublicURL + "/" + p.Centre().ID + "/x-feeds/" + id + "/"
}

// Family is a family of formats, as agreements name them.
type Family string

// The families.
const (
	List    Family = "list"
	Rules   Family = "rules"
	RPZ     Family = "rpz"
	MISP    Family = "misp"
	Bouncer Family = "bouncer"
	Stream  Family = "stream"
	Webhook Family = "webhook"
)

var families = []Family{List, Rules, RPZ, MISP, Bouncer, Stream, Webhook}

// listingKey identifies a listing: the parts of a feed depend on the family, since each
// agreement says which families its collections may go into.
type listingKey struct {
	feed   string // "org/id"
	family Family
}

// Answer is what a feed holds at one moment, in one family of formats. It must be closed.
type Answer struct {
	Definition *Definition
	Entries    *EntryList
	LeftOut    map[stixfeed.Reason]int // indicators and values that are not listed; read-only
	Version    time.Time               // of the last change
	Tag        string                  // equal for equal entries of equal definitions
	Hold       time.Duration           // how long a subscriber may act on the entries without asking again
	Open       bool                    // the account may read a collection of the feed
	Expires    time.Time               // when the credentials of the caller expire; zero if never

	service  *Service
	key      listingKey
	readable []exchange.Grant
	history  history
	expiry   time.Duration // of a zone
	closed   int64         // the last Unix second in which no further version is given
	current  *atomic.Bool  // its version is the newest
	pages    []delivery
	done     []func()
}

// delivery is what an answer has of one collection.
type delivery struct {
	grant       exchange.Grant
	page        audit.Page
	withdrawals withdrawals
}

// Open answers the question of a feed of the caller. The errors are NotFound if the caller
// has no such feed, or if its access has ended and the agreement wants the feed to be gone
// then; Forbidden if the feed has a use for which its account was not made or which the
// agreements do not allow; Unavailable while the feed is being built. The entries for a
// response policy zone are those at the end of a second that is over, so that a number of seconds
// identifies each version.
func (s *Service) Open(ctx context.Context, p exchange.Principal, id string, family Family) (*Answer, error) {
	for {
		a, err := s.open(ctx, p, id, family)
		if err != nil || family != RPZ || a.rewind() {
			return a, err
		}
		a.Close()
		select {
		case <-time.After(s.now().Truncate(time.Second).Add(time.Second).Sub(s.now())):
		case <-ctx.Done():
			return nil, busy(ctx.Err())
		}
	}
}

// openForAccount answers the question of a feed as its account gets it at this moment. The errors
// are those of [Service.Open].
func (s *Service) openForAccount(ctx context.Context, snapshot *exchange.Snapshot, f *exchange.Feed, family Family) (*Answer, error) {
	p, ok := snapshot.Principal(snapshot.Directory.Accounts[f.Account], s.now())
	if !ok {
		return nil, taxii.Errorf(taxii.NotFound, "account %s may not be used", f.Account)
	}
	return s.open(ctx, p, f.ID, family)
}

// open answers the question at this moment.
func (s *Service) open(ctx context.Context, p exchange.Principal, id string, family Family) (a *Answer, err error) {
	key := listingKey{exchange.FeedKey(p.Account, id), family}
	for err = errMoved; err == errMoved && ctx.Err() == nil; {
		a, err = s.tryOpen(ctx, p, id, key)
	}
	var told *taxii.Error
	if err != nil && ctx.Err() != nil && !errors.As(err, &told) { // whatever was interrupted
		err = busy(errors.Join(ctx.Err(), err))
	}
	return a, err
}

// tryOpen is errMoved if another answer gives the listing a version meanwhile. It reads the
// versions before all else, so that it is made from no less than the newest of them.
func (s *Service) tryOpen(ctx context.Context, p exchange.Principal, id string, key listingKey) (*Answer, error) {
	document, err := s.store.Document(ctx, versionsDocument(key))
	if err != nil {
		return nil, err
	}
	snapshot, err := s.current.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	feed := snapshot.Directory.Feeds[key.feed]
	if feed == nil || feed.Account != p.Account {
		return nil, taxii.Errorf(taxii.NotFound, "there is no such feed")
	}
	if feed.Use != p.Action && feed.Use != "search" {
		return nil, taxii.Errorf(taxii.Forbidden, "the feed is for %s, and the account was made for %s", feed.Use, p.Action)
	}
	def, err := s.definition(feed)
	if err != nil {
		return nil, err
	}
	a, err := s.answer(ctx, snapshot.Policy, p, def, key, feed, document)
	if err == nil {
		a.Expires = expiry(snapshot.Directory, p)
	}
	return a, err
}

// expiry is when the credentials of a caller expire: its account, or the token that it came with.
// It is zero if they never do.
func expiry(d *exchange.Directory, p exchange.Principal) (first time.Time) {
	var ends []*time.Time
	if account := d.Accounts[p.Account]; account != nil {
		ends = append(ends, account.Expires)
	}
	if token := d.Tokens[p.Token]; token != nil {
		ends = append(ends, token.Expires)
	}
	for _, end := range ends {
		if end != nil && (first.IsZero() || end.Before(first)) {
			first = *end
		}
	}
	return first
}

// expiryOfAny is when the first of the credentials of an account that are still valid expires: the
// account itself or one of its tokens. It is zero if none does.
func expiryOfAny(d *exchange.Directory, account string, now time.Time) (first time.Time) {
	for id, token := range d.Tokens {
		if token.Account != account || !token.Usable(now) {
			continue
		}
		if end := expiry(d, exchange.Principal{Account: account, Token: id}); !end.IsZero() && (first.IsZero() || end.Before(first)) {
			first = end
		}
	}
	if first.IsZero() {
		return expiry(d, exchange.Principal{Account: account})
	}
	return first
}

// Close ends the answer: records of its collections may be removed again.
func (a *Answer) Close() {
	for _, done := range a.done {
		done()
	}
	a.done = nil
}

// Deliver records that the caller gets the entries, in a file of that name. It does so
// before they are sent, so that a recall in between reaches the caller.
func (a *Answer) Deliver(file string) error {
	for _, d := range a.pages {
		d.page.Feed = a.Definition.ID + " " + file
		if err := a.service.recorder.Deliver(d.grant, taxii.Match{Types: []string{"indicator"}}, d.page); err != nil {
			return err
		}
	}
	return nil
}

// Forget removes what the store keeps of a feed, by "org/id", which was removed.
func (s *Service) Forget(ctx context.Context, key string) error {
	s.amending.Lock() // answers that are under way
	defer s.amending.Unlock()
	for _, name := range []string{mispDocument(key), webhookDocument(key), agentsDocument(key), bouncersDocument(key)} {
		if err := removeDocument(ctx, s.store, name); err != nil {
			return err
		}
	}
	return forgetVersions(ctx, s.store, key)
}

// amend changes a document of a feed, by "org/id". It is NotFound if the feed was removed meanwhile:
// [Service.Forget] removes its documents for good.
func (s *Service) amend(ctx context.Context, key, document string, change func(old []byte) ([]byte, error)) error {
	s.amending.RLock()
	defer s.amending.RUnlock()
	snapshot, err := s.current.Snapshot(ctx)
	if err != nil {
		return err
	}
	if _, err := snapshot.Directory.Feed(key); err != nil {
		return err
	}
	return s.store.AmendDocument(ctx, document, func(old []byte) ([]byte, []audit.Entry, error) {
		content, err := change(old)
		return content, nil, err
	})
}

// lock is a mutex for which a caller can wait no longer than its context lasts. Whoever sends a
// value holds it.
type lock chan struct{}

func newLock() lock { return make(lock, 1) }

// acquire is Unavailable if the context ends first.
func (l lock) acquire(ctx context.Context) error {
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return busy(ctx.Err())
	}
}

// tryAcquire does not wait.
func (l lock) tryAcquire() (ok bool) {
	select {
	case l <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l lock) release() { <-l }

// unlocked runs f without the lock, which the caller holds.
func (l lock) unlocked(f func() error) error {
	l.release()
	defer func() { l <- struct{}{} }()
	return f()
}

func busy(err error) error {
	return &taxii.Error{Code: taxii.Unavailable, Msg: "the feed is being brought up to date; ask again", Err: err, RetryAfter: time.Second}
}

// definition reads the file of a feed, once.
func (s *Service) definition(f *exchange.Feed) (*Definition, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	def := s.definitions[f.Source]
	if def == nil {
		var err error
		if def, err = ParseDefinition(f.ID, []byte(f.Source)); err != nil {
			return nil, &taxii.Error{Code: taxii.Internal, Msg: "the feed cannot be read", Err: err}
		}
		s.definitions[f.Source] = def
	}
	return def, nil
}

// answer works out an answer. feed is nil for a listing that is not kept, whose key has no feed;
// otherwise document is that of its versions. The error may be errMoved.
func (s *Service) answer(ctx context.Context, policy *exchange.Policy, p exchange.Principal, def *Definition, key listingKey, feed *exchange.Feed, document []byte) (*Answer, error) {
	now := s.now()
	readable := grants(policy, p, def, now)
	allowed, err := allow(readable, def.Use, key.family)
	if err != nil {
		return nil, err
	}
	if p.Token == urlToken && !allowURL(allowed) {
		return nil, taxii.Errorf(taxii.NotFound, "there is no such feed")
	}
	a := &Answer{Definition: def, Open: len(readable) > 0, service: s, key: key, readable: readable}
	if !a.Open && goneAtEnd(policy, p.Org, def, now) {
		return nil, taxii.Errorf(taxii.NotFound, "there is no such feed")
	}
	answered := false
	defer func() {
		if !answered { // there is an error or a panic
			a.Close()
		}
	}()
	a.read(allowed)
	kept := s.keptListing(key)
	if err := kept.acquire(ctx); err != nil {
		return nil, err
	}
	defer kept.release()
	indexes := s.want(allowed)
	defer s.unwant(indexes)
	parts, err := s.catchUp(ctx, indexes, allowed)
	if err != nil {
		return nil, err
	}
	q := newQuestion(def, allowed)
	if kept.listing == nil {
		kept.listing = s.resume(key, q, parts, now)
	}
	l := kept.with(q, parts)
	before := l.version
	if err := l.read(document); err != nil {
		return nil, err
	}
	kept.listing = nil // a panic leaves no listing that is half up to date
	l.update(taxii.Latest(now, l.stored.newest()))
	for i, g := range allowed {
		part := l.parts[i]
		a.pages = append(a.pages, delivery{g, audit.Page{
			First: part.now.span.from, Last: part.now.span.to, Count: part.selected, HighWater: part.now.highWater,
		}, part.now.withdrawals})
	}
	if key.family == RPZ {
		l.setExpire(a.expire(now.Add(zoneDelay)))
	}
	kept.listing = l
	if feed == nil {
		l.advance([]int64{now.UnixMicro()}, now)
	} else {
		err := s.settle(ctx, key, feed, l, now)
		if err == nil && key.family == RPZ {
			err = s.publish(ctx, key, l, now)
		}
		if err != nil {
			return nil, err
		}
	}
	if l.version != before {
		kept.supersede()
		s.bodies.drop(key.feed)
	}
	a.current = kept.current
	a.history, a.expiry = l.history, l.expire
	a.Entries, a.LeftOut, a.Version, a.Tag = l.entries, l.leftOut, l.version, l.tag
	a.Hold, a.closed = a.hold(now), max(l.stored.Closed, now.Unix()-1)
	answered = true
	return a, nil
}

// read begins to read the collections. It takes them in the order of their ids, and before
// the lock: where records are to be removed it waits for the removal, which in turn waits
// for the answers under way.
func (a *Answer) read(allowed []exchange.Grant) {
	ids := make([]uuid.UUID, len(allowed))
	for i, g := range allowed {
		ids[i] = g.ID()
	}
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	for _, id := range ids {
		a.done = append(a.done, a.service.recorder.Reading(id))
	}
}

// hold is how long a subscriber who asks at that time may act on the entries without asking
// again; 0 without any grant.
func (a *Answer) hold(now time.Time) (shortest time.Duration) {
	for i, d := range a.pages {
		end := d.grant.Feeds().Hold.After(now)
		if until := d.grant.Until(); until.Before(end) {
			end = until
		}
		if left := max(end.Sub(now), time.Second); i == 0 || left < shortest {
			shortest = left
		}
	}
	return shortest
}

// keptListing is a listing that is kept for the next answer. Its lock guards what follows, so
// that a listing which takes long to work out holds up no other one.
type keptListing struct {
	lock
	listing *listing     // nil at first
	summed  *EntryList   // the entries of the summary that was written last
	current *atomic.Bool // whether its version is the newest; false once it is dropped
}

// supersede has answers that are under way leave no file of their version in the cache.
func (k *keptListing) supersede() {
	if k.current != nil {
		k.current.Store(false)
	}
	k.current = new(atomic.Bool)
	k.current.Store(true)
}

// keptListing is the listing of that key; a new one that is not kept if the key has no feed.
func (s *Service) keptListing(key listingKey) *keptListing {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.listings[key]
	if kept == nil {
		kept = &keptListing{lock: newLock()}
		if key.feed != "" {
			s.listings[key] = kept
		}
	}
	return kept
}

// newQuestion is what a feed asks under these grants.
func newQuestion(def *Definition, allowed []exchange.Grant) question {
	q := question{def: def}
	for _, g := range allowed {
		agreed := g.Feeds()
		t := terms{requireValidUntil: agreed.RequireValidUntil}
		if def.Use == "block" {
			t.minConfidence = int(agreed.MinConfidence)
		}
		q.terms = append(q.terms, t)
	}
	return q
}

// with is the listing of parts as they are now. If definition, grants or indexes are others, it
// is a new one, whose versions go on from those of the one before.
func (k *keptListing) with(q question, parts []*part) *listing {
	l := k.listing
	if l == nil || l.def != q.def || !slices.Equal(l.terms, q.terms) || !slices.EqualFunc(l.parts, parts, func(p, q *part) bool { return p.index == q.index }) {
		return newListing(q, parts, l)
	}
	for i, p := range l.parts {
		p.now = parts[i].now
	}
	return l
}
