package audit_test

import (
	"encoding/json"
	"testing"
	"time"

	"comity/taxii/audit"
	"comity/taxii/exchange"
)

// The chain has digests of records that earlier versions wrote. A record keeps its digest
// when a version adds a field, which an old record does not have.
func TestARecordKeepsItsDigest(t *testing.T) {
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		record any
		digest string
	}{
		"organisation/fir": {exchange.Organisation{ID: "fir", Kind: "soc", Name: "The fir", Country: "SG", Added: at}, "e813afa44badd738d160dd038afda05b1975b221b6a480797ff1cfb6d775b8be"},
		"account/fir/desk": {exchange.Account{Org: "fir", Name: "desk", Purposes: []string{"cybercrime"}, Action: "search", Added: at}, "491a78106a48f8240739a1ae165fef59f06cdce65a4a891e4b02c5db44968097"},
		"token/one":        {exchange.Token{ID: "one", Account: "fir/desk", Digest: "ab", Added: at}, "1b62623978835917ad0b5466023daa09134b12a3fd4da58867c8890bdcebb676"},
		"agreement/pool": {exchange.Deposit{ID: "pool", Versions: []exchange.Version{{File: "pool.toml", Source: "x", Digest: "cd", Deposited: at}},
			Acts: []exchange.Act{{Kind: exchange.Suspend, At: at, Reason: "a test"}}}, "e4afdc936ecb19ca8a7b25e3edfd4fa92943c12e25da95b933edf2b39f71f3ee"},
		"feed/fir/block": {exchange.Feed{ID: "block", Account: "fir/desk", Use: "search", Source: "x", Added: at}, "7e18ad8db7af61c8943f153fb83f51ba627ecef22b8479c01fecce7616744a7b"},
		"shut/one":       {at, "35e67253da2fd973d1e85b0c7945f9708c948f5883393bdbb8dee330a355bf2c"},
	} {
		text, err := json.Marshal(tt.record)
		if err != nil {
			t.Fatal(err)
		}
		got, err := audit.SubjectOf(name, text)
		if err != nil || got.ID != name || got.Digest != tt.digest {
			t.Errorf("%s: %+v, want the digest %s (%v)", text, got, tt.digest, err)
		}
	}
}
