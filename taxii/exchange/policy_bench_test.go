package exchange_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"comity/stix"
	"comity/taxii/exchange"
)

// registry returns a directory of 1,000 agreements and 20,000 accounts. Nine in ten
// agreements are of the centre with one vendor each, the others operations of ten vendors.
func registry(b *testing.B) *exchange.Directory {
	b.Helper()
	const exchanges, operations, accounts = 900, 100, 20_000
	d := directory(b)
	vendor := func(i int) string { return fmt.Sprintf("vendor-%d", i%exchanges) }
	for i := range exchanges {
		join(b, d, "private-vendor", vendor(i))
		dea := between("data-exchange-agreement", "dea-"+vendor(i), "provider", vendor(i))
		deposit(d, dea.id, dea.toml())
	}
	for i := range operations {
		op := between("operation", fmt.Sprintf("op-%d", i), "provider")
		for j := range 10 {
			op.participants = append(op.participants, testMember{vendor(10*i + j), "provider", "dea-" + vendor(10*i+j)})
		}
		op.flows = append(op.flows, testFlow{name: "room", from: []string{"igci"}, to: []string{"all-participants"}, max: stix.Green})
		op.windUp, op.windUpFlows = 90, []string{"down"}
		deposit(d, op.id, op.toml())
	}
	for i := range accounts {
		a := exchange.Account{Org: vendor(i), Name: fmt.Sprintf("account-%d", i), Purposes: exchange.Purposes, Action: "search"}
		d.Accounts[a.ID()] = &a
	}
	return d
}

// principals returns the principals of all accounts, every tenth of the centre.
func principals(d *exchange.Directory) (list []exchange.Principal) {
	for _, a := range d.Accounts {
		if list = append(list, a.Principal()); len(list)%10 == 0 {
			list[len(list)-1].Org = d.Centre.ID
		}
	}
	return list
}

func BenchmarkNewPolicy(b *testing.B) {
	d := registry(b)
	for b.Loop() {
		policy(b, d)
	}
}

// Renew runs after every change of the directory, such as a new token.
func BenchmarkRenew(b *testing.B) {
	d := registry(b)
	p := policy(b, d)
	for b.Loop() {
		if _, err := p.Renew(d); err != nil {
			b.Fatal(err)
		}
	}
}

// Decide runs at every request. The callers are any account, one that has the right, and
// one under an agreement of all bureaus of the world, one of which has withdrawn.
func BenchmarkDecide(b *testing.B) {
	d := registry(b)
	all := []string{}
	for i := range 195 {
		all = append(all, fmt.Sprintf("ncb-%d", i))
	}
	join(b, d, "national-bureau", all...)
	charter := between("charter", "charter-all", "bureau", all...)
	deposit(d, charter.id, charter.toml())
	act(d, charter.id, exchange.Withdraw, effective, "ncb-7")
	p, callers := policy(b, d), principals(d)
	var names []string
	for _, c := range p.Collections(inForce) {
		names = append(names, c.ID.String())
	}
	random := rand.New(rand.NewPCG(1, 2))
	b.Run("anybody", func(b *testing.B) {
		granted := 0
		for b.Loop() {
			if _, err := p.Decide(callers[random.IntN(len(callers))], names[random.IntN(len(names))], exchange.Read, inForce); err == nil {
				granted++
			}
		}
		b.ReportMetric(float64(granted)/float64(b.N), "granted/op")
	})
	for name, tt := range map[string]struct{ account, collection string }{
		"operation": {"vendor-1/x", "op-0.down.vendor-1"},
		"charter":   {"ncb-8/x", "charter-all.down.ncb-8"},
	} {
		b.Run(name, func(b *testing.B) {
			pr := caller(tt.account)
			for b.Loop() {
				if _, err := p.Decide(pr, tt.collection, exchange.Read, inForce); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Grants runs at every request for the list of collections. The callers are a vendor, and
// the centre with a grant on every collection.
func BenchmarkGrants(b *testing.B) {
	d := registry(b)
	p := policy(b, d)
	for _, org := range []string{"vendor-1", "igci"} {
		b.Run(org, func(b *testing.B) {
			n := 0
			for b.Loop() {
				n = len(p.Grants(caller(org+"/x"), inForce))
			}
			b.ReportMetric(float64(n), "grants")
		})
	}
}

func BenchmarkNext(b *testing.B) {
	p := policy(b, registry(b))
	var next time.Time
	for b.Loop() {
		next = p.Next(inForce)
	}
	if next.IsZero() {
		b.Error("nothing is next")
	}
}
