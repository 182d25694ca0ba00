package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"comity/store"
	"comity/taxii"
	"comity/taxii/audit"
)

// Check implements store.Store. It reads the last commit while others write. bbolt
// cannot reuse the pages of that commit meanwhile, so the file may grow. If it finds a
// damaged page, it checks nothing else.
func (s *Store) Check(ctx context.Context, progress func(int64), fault func(string)) error {
	return s.view(func(tx *bbolt.Tx) error {
		faults := 0
		ck := &checker{ctx: ctx, store: s, tx: tx, progress: progress, fault: func(text string) {
			faults++
			fault(text)
		}}
		if err := ck.guard("pages", func() error { return ck.keys(tx.Cursor().Bucket(), "", 0) }); err != nil {
			return err
		}
		if faults > 0 {
			// Where a page leads back to itself, bbolt's search for a key ends the process.
			fault("nothing else was checked")
			return nil
		}
		ck.guard("collections", func() error {
			return eachCollection(tx, func(id uuid.UUID, _ *bbolt.Bucket) error {
				return ck.guard("collection "+id.String(), func() error { return ck.checkCollection(id) })
			})
		})
		for _, part := range []struct {
			name  string
			check func() error
		}{{"statuses", ck.statuses}, {"audit", ck.chain}, {"directory", ck.directory}, {"blocklist", ck.blocklist}, {"quarantine", ck.quarantine}} {
			if err := ck.guard(part.name, part.check); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// checker is one run of Check.
type checker struct {
	ctx      context.Context
	store    *Store
	tx       *bbolt.Tx
	records  int64
	recorded *audit.Recorded // of the directory, by the audit chain; nil: the chain is damaged
	progress func(int64)
	fault    func(string)
}

// guard runs one part of a check. It reports an error or panic as a fault, so that the
// parts after it are still checked. It returns an error only if ctx has ended.
func (ck *checker) guard(part string, f func() error) (err error) {
	defer func() {
		if ck.ctx.Err() != nil {
			err = ck.ctx.Err()
		} else if err != nil {
			ck.fault(part + ": " + faultText(err))
			err = nil
		}
	}()
	defer recovered(ck.store.db, &err)
	return f()
}

// faultText is the text of an error, without the advice to run comity check.
func faultText(err error) string {
	var damage *taxii.Error
	if errors.As(err, &damage) && damage.Err != nil {
		err = damage.Err
	}
	return err.Error()
}

// maxDepth is how deep buckets may be nested.
const maxDepth = 4

// keys walks through a bucket and the buckets in it, and reports keys that do not ascend.
// That finds a page in the wrong place, and a page that leads back to itself.
func (ck *checker) keys(b *bbolt.Bucket, name string, depth int) error {
	if depth > maxDepth {
		return store.Damaged("the buckets are nested too deep")
	}
	n := 0
	return forEach(b, func(k, v []byte) error {
		if n++; n%1024 == 0 && ck.ctx.Err() != nil {
			return ck.ctx.Err()
		}
		if v != nil {
			return nil
		}
		name := strings.TrimPrefix(name+"/"+bucketLabel(k), "/")
		return ck.guard("bucket "+name, func() error {
			in := b.Bucket(k)
			if in == nil {
				return store.Damaged("it is neither a value nor a bucket")
			}
			return ck.keys(in, name, depth+1)
		})
	})
}

// bucketLabel is the name of a bucket as text.
func bucketLabel(name []byte) string {
	if isCollection(name) {
		return "collection " + uuid.UUID(name[1:]).String()
	}
	return strings.Trim(strconv.QuoteToASCII(string(name)), `"`)
}

// forEach calls f with the keys and values of a bucket, as its own ForEach does. It returns
// an error if the keys do not ascend: a page of a damaged file may lead back to itself.
func forEach(b *bbolt.Bucket, f func(k, v []byte) error) error {
	var last []byte
	return b.ForEach(func(k, v []byte) error {
		if last != nil && bytes.Compare(last, k) >= 0 {
			return store.Damaged("the keys do not ascend at %x", k)
		}
		last = append(last[:0], k...)
		return f(k, v)
	})
}

// statuses compares heads and parts.
func (ck *checker) statuses() error {
	heads, parts := ck.tx.Bucket(bucketHeads), ck.tx.Bucket(bucketParts)
	partsOf := map[uint64]int{}
	if err := heads.ForEach(func(k, v []byte) error {
		h, err := parseStatus(v)
		if err != nil {
			ck.fault(fmt.Sprintf("statuses: number %d is malformed", number(k)))
			return nil
		}
		for part := range h.Parts {
			if _, err := ck.store.outcomes(ck.tx, number(k), part); err != nil {
				ck.fault(fmt.Sprintf("statuses: part %d of %s is missing or damaged", part, h.ID))
			}
		}
		partsOf[number(k)] = h.Parts
		return ck.ctx.Err()
	}); err != nil {
		return err
	}
	return parts.ForEach(func(k, _ []byte) error {
		if len(k) != 16 || int(binary.BigEndian.Uint32(k[8:])) >= partsOf[number(k[:8])] {
			ck.fault(fmt.Sprintf("statuses: parts has %x, which is of none", k))
		}
		return ck.ctx.Err()
	})
}

// chain verifies the audit chain from its first entry, or from the seal, and stops at
// the first bad entry. Then it compares head and delivered with the chain.
func (ck *checker) chain() error {
	delivered, meta := ck.tx.Bucket(bucketDelivered), ck.tx.Bucket(bucketMeta)
	seal, err := sealOf(meta)
	if err != nil {
		return err
	}
	if seal.Number > 0 {
		if err := seal.Check(); err != nil {
			ck.fault("audit: the seal: " + err.Error())
		}
	}
	head := parseChainHead(meta.Get(keyChain))
	begin := seal.Head()
	begin.Open = head.Open // in case no start or stop came after the seal
	verifier := audit.VerifierAfter(begin)
	recorded := new(audit.Recorded)
	deliveries, found := 0, 0
	if err := ck.tx.Bucket(bucketLinks).ForEach(func(k, v []byte) error {
		link, err := parseLink(k, v)
		if err != nil {
			return err
		}
		if link.Number > seal.Number {
			if err := verifier.Next(link); err != nil {
				return err
			}
		}
		e, err := link.Entry()
		if err != nil {
			return err
		}
		if e.Number != link.Number {
			ck.fault(fmt.Sprintf("audit: line %d holds line %d", link.Number, e.Number))
		}
		recorded.Add(&e)
		if store.IsDelivery(&e) {
			deliveries++
			id, from, to := uuid.MustParse(e.Collection), store.DateOf(*e.From), store.DateOf(*e.To)
			if b := delivered.Bucket(id[:]); b == nil || !bytes.Equal(b.Get(deliveryKey(from, to, link.Number)), dateKey(to)) {
				ck.fault(fmt.Sprintf("audit: delivered lacks line %d", link.Number))
			}
		}
		return ck.ctx.Err()
	}); err != nil {
		return err
	}
	ck.recorded = recorded
	if head != verifier.Head() {
		ck.fault(fmt.Sprintf("audit: the chain ends at line %d, but not as the head says, which is of line %d", verifier.Head().Number, head.Number))
	}
	if err := delivered.ForEachBucket(func(name []byte) error {
		return delivered.Bucket(name).ForEach(func(_, _ []byte) error { found++; return nil })
	}); err != nil {
		return err
	}
	if found != deliveries {
		ck.fault(fmt.Sprintf("audit: delivered has %d entries, should have %d", found, deliveries))
	}
	return nil
}

// directory reads the directory and compares it with the audit chain.
func (ck *checker) directory() error {
	seal, err := sealOf(ck.tx.Bucket(bucketMeta))
	if err != nil {
		return err
	}
	records, err := recordsOf(ck.tx)
	if err != nil {
		return err
	}
	d, err := store.ReadDirectory(records)
	if err != nil {
		return err
	}
	incomplete := seal.Number > 0
	if ck.recorded == nil {
		ck.recorded, incomplete = new(audit.Recorded), true
	}
	for _, fault := range ck.recorded.Faults(d, incomplete) {
		ck.fault("directory: " + fault)
	}
	return nil
}

// blocklist checks the form of the entries of the blocklist.
func (ck *checker) blocklist() error {
	root := ck.tx.Bucket(bucketBlocklist)
	if err := root.Bucket(bucketContent).ForEach(func(k, _ []byte) error {
		if len(k) <= 16 {
			ck.fault("blocklist: an entry has no reason")
		}
		return ck.ctx.Err()
	}); err != nil {
		return err
	}
	return root.Bucket(bucketIdentity).ForEach(func(k, origin []byte) error {
		if !bytes.Contains(k, []byte{0}) || len(origin) == 0 {
			ck.fault("blocklist: an identity is malformed")
		}
		return nil
	})
}

// quarantine reads the objects in quarantine.
func (ck *checker) quarantine() error {
	b := ck.tx.Bucket(bucketQuarantine)
	return b.ForEach(func(k, v []byte) error {
		if q, err := parseQuarantined(k, v); err != nil || q.Number > b.Sequence() {
			ck.fault(fmt.Sprintf("quarantine: number %d is malformed, or was never given", number(k)))
		}
		return ck.ctx.Err()
	})
}
