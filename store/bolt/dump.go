package bolt

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/store"
)

// Dump implements store.Dumper. It reads the last commit while others write. Tombstones are
// not among the items, as Compact drops them too.
func (s *Store) Dump(ctx context.Context, f func(*store.DumpItem) error) error {
	return s.view(func(tx *bbolt.Tx) error {
		d := &dump{ctx: ctx, tx: tx, f: f}
		for _, part := range []func() error{d.begin, d.directory, d.documents, d.collections, d.pushes, d.links, d.blocklist, d.quarantine, d.quota} {
			if err := part(); err != nil {
				return err
			}
		}
		return nil
	})
}

// dump is one run of Dump.
type dump struct {
	ctx context.Context
	tx  *bbolt.Tx
	f   func(*store.DumpItem) error
}

// each calls f with the keys and values of a bucket.
func (d *dump) each(b *bbolt.Bucket, f func(k, v []byte) error) error {
	return forEach(b, func(k, v []byte) error { return cmp.Or(d.ctx.Err(), f(k, v)) })
}

func (d *dump) begin() error {
	meta := d.tx.Bucket(bucketMeta)
	head := parseChainHead(meta.Get(keyChain))
	return d.f(&store.DumpItem{Begin: &store.DumpBegin{
		Format: store.DumpFormat, Generation: number(meta.Get(keyGeneration)), Head: head.Number, Hash: head.Hash[:], Open: head.Open,
		Seal: string(meta.Get(keySeal)), Quarantine: d.tx.Bucket(bucketQuarantine).Sequence(),
	}})
}

func (d *dump) directory() error {
	return d.each(d.tx.Bucket(bucketDirectory), func(k, v []byte) error {
		return d.f(&store.DumpItem{Directory: &store.DumpRecord{Name: string(k), Content: v}})
	})
}

func (d *dump) documents() error {
	return d.each(d.tx.Bucket(bucketDocuments), func(k, v []byte) error {
		return d.f(&store.DumpItem{Document: &store.DumpRecord{Name: string(k), Content: v}})
	})
}

func (d *dump) collections() error { return eachCollection(d.tx, d.collection) }

func (d *dump) collection(id uuid.UUID, _ *bbolt.Bucket) error {
	c := openCollection(d.tx, id)
	state := c.state()
	if err := d.f(&store.DumpItem{Collection: &store.DumpCollection{ID: id, Last: store.Date(state.End), Past: state.Past}}); err != nil {
		return err
	}
	live, err := newDateCursor(c.live, 0)
	if err != nil {
		return err
	}
	hist, err := newDateCursor(c.history(), 0)
	if err != nil {
		return err
	}
	for live.date != never || hist.date != never {
		next := &live
		if hist.date < live.date {
			next = &hist
		}
		r := record(next.value)
		if _, err := r.verify(next.date); err != nil {
			return err
		}
		o := &store.DumpObject{Added: next.date, Handling: r.handling(), Object: r.json()}
		if err := cmp.Or(d.ctx.Err(), d.f(&store.DumpItem{Object: o}), next.next()); err != nil {
			return err
		}
	}
	return nil
}

// pushes dumps the statuses. It first reads the heads of all, to sort them.
func (d *dump) pushes() error {
	type numbered struct {
		number    uint64
		requested store.Instant
		id        uuid.UUID
	}
	var list []numbered
	heads := d.tx.Bucket(bucketHeads)
	if err := d.each(heads, func(k, v []byte) error {
		h, err := parseStatus(v)
		list = append(list, numbered{number(k), store.InstantOf(h.Requested), h.ID})
		return err
	}); err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b numbered) int {
		return cmp.Or(bytes.Compare(a.requested[:], b.requested[:]), bytes.Compare(a.id[:], b.id[:]))
	})
	for _, n := range list {
		h, err := parseStatus(heads.Get(numberKey(n.number)))
		if err != nil {
			return err
		}
		parts := [][]byte{}
		for part := range h.Parts {
			parts = append(parts, frameOf(d.tx, n.number, part))
		}
		if err := cmp.Or(d.ctx.Err(), d.f(&store.DumpItem{Push: store.NewDumpPush(h.Status, h.complete, parts)})); err != nil {
			return err
		}
	}
	return nil
}

func (d *dump) links() error {
	return d.each(d.tx.Bucket(bucketLinks), func(k, v []byte) error {
		link, err := parseLink(k, v)
		if err != nil {
			return err
		}
		return d.f(&store.DumpItem{Link: &store.DumpLink{Number: link.Number, Hash: link.Hash[:], Body: link.Body}})
	})
}

func (d *dump) blocklist() error {
	root := d.tx.Bucket(bucketBlocklist)
	if err := d.each(root.Bucket(bucketContent), func(k, _ []byte) error {
		if len(k) < 16 {
			return store.Damaged("an entry of the blocklist is cut off")
		}
		return d.f(&store.DumpItem{Content: &store.DumpBlocked{Key: k[:16], Reason: string(k[16:])}})
	}); err != nil {
		return err
	}
	return d.each(root.Bucket(bucketIdentity), func(k, origin []byte) error {
		identity, reason, _ := strings.Cut(string(k), "\x00")
		return d.f(&store.DumpItem{Identity: &store.DumpBlocked{Identity: identity, Reason: reason, Origin: string(origin)}})
	})
}

func (d *dump) quarantine() error {
	return d.each(d.tx.Bucket(bucketQuarantine), func(k, v []byte) error {
		note, object, ok := splitQuarantined(v)
		if !ok {
			return store.Damaged("an entry of quarantine is cut off")
		}
		return d.f(&store.DumpItem{Quarantined: &store.DumpQuarantined{Number: number(k), Note: note, Object: object}})
	})
}

func (d *dump) quota() error {
	return d.each(d.tx.Bucket(bucketQuota), func(k, v []byte) error {
		fields := strings.Split(string(k), "\x00")
		if len(fields) != 3 || len(v) != 8 {
			return store.Damaged("an entry of quota is malformed")
		}
		return d.f(&store.DumpItem{Quota: &store.DumpQuota{Agreement: fields[0], Org: fields[1], Day: fields[2], Pushes: int64(binary.BigEndian.Uint64(v))}})
	})
}
