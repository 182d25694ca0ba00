package bolt

import (
	"bytes"
	"fmt"

	"github.com/google/uuid"

	"comity/store"
	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// chain verifies the audit chain from its first line, or from the seal, and reports the
// first that is bad; then compares head and delivered with it.
func (ck *checking) chain() error {
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
	begin.Open = head.Open // what the links after the seal do not say, nobody knows
	verifier := audit.VerifierAfter(begin)
	ck.digests = map[string]bool{}
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
		if e.Agreement != "" && e.Digest != "" {
			ck.digests[e.Digest] = true
		}
		if isDelivery(&e) {
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

// directory reads the directory, and compares the text of each agreement with the digest
// that was recorded when it was deposited, and that with the audit chain. Of lines that
// were archived the chain says nothing.
func (ck *checking) directory() error {
	seal, err := sealOf(ck.tx.Bucket(bucketMeta))
	if err != nil {
		return err
	}
	_, d, _, err := directoryOf(ck.tx)
	if err != nil {
		return err
	}
	for id, deposit := range d.Agreements {
		for _, v := range deposit.Versions {
			if v.Digest != "" && !ck.digests[v.Digest] && seal.Number == 0 {
				ck.fault(fmt.Sprintf("directory: the audit record does not know the text of agreement %s in %s", id, v.File))
			}
			alone := &exchange.Directory{Agreements: map[string]*exchange.Deposit{id: {ID: id, Versions: []exchange.Version{v}}}}
			if _, err := exchange.NewPolicy(alone); v.Digest != "" && err != nil {
				ck.fault("directory: " + err.Error())
			}
		}
	}
	return nil
}

// blocklist checks the form of the entries of the blocklist.
func (ck *checking) blocklist() error {
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
func (ck *checking) quarantine() error {
	b := ck.tx.Bucket(bucketQuarantine)
	return b.ForEach(func(k, v []byte) error {
		if q, err := parseQuarantined(k, v); err != nil || q.Number > b.Sequence() {
			ck.fault(fmt.Sprintf("quarantine: number %d is malformed, or was never given", number(k)))
		}
		return ck.ctx.Err()
	})
}
