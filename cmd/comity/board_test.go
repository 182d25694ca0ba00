package main

import (
	"strings"
	"testing"
	"time"

	"comity/stix/fusion"
	"comity/taxii/operation"
)

func TestBoard(t *testing.T) {
	s := operation.Stats{
		As: "igci", Operation: "op-asean-demo", Snapshot: time.Date(2017, 4, 14, 0, 0, 0, 0, time.UTC), Countries: 10, MayLeave: 8896,
		C2:       operation.C2Stats{Identified: 8913, Corroborated: 3707, Digest: "95b3…"},
		Sites:    operation.SiteStats{Identified: 270, Portals: 38},
		Issues:   operation.IssueStats{Flagged: 31, Absorbed: 14, OwnReport: 7, Open: 10},
		Reports:  operation.ReportStats{Count: 23, Countries: 9},
		Outcomes: operation.OutcomeStats{Reported: 8842, Neutralised: 5940},
	}
	const want = `OPERATION op-asean-demo                             as seen by: igci          snapshot 2017-04-14
C2 servers identified ........ 8,913   in 10 countries   corroborated by two or more sources 3,707 (41.6%)
  of which may leave the centre 8,896
Compromised websites ........... 270   government portals 38
Issues flagged by countries ..... 31   absorbed 14   own report 7   still open 10
Cyber Activity Reports .......... 23   to 9 countries
Outcomes reported ............ 8,842   neutralised 5,940 (67.2%)
`
	var got strings.Builder
	if board(&got, s); got.String() != want {
		t.Errorf("board:\n%s\nwant:\n%s", got.String(), want)
	}
	for as, digest := range map[string]string{operation.Bureaus: "95b3…", "ncb-kh": ""} {
		s.As, s.C2.Digest = as, digest
		got.Reset()
		if board(&got, s); strings.Contains(got.String(), "leave the centre") {
			t.Errorf("%s is told that something stays in the centre:\n%s", as, got.String())
		}
	}
}

func TestContributionTable(t *testing.T) {
	const want = `origin   given    sole  corroborated   first     led  confirmed others  relayed  acted on  neutralised  not counted
alder    4,446   1,674         2,772   3,000   1,326             1,446       18         0            0  relay 18, stale 2
elm      1,437     482           955     900     418               537       10         0            0
total    5,883   2,156         3,727   3,900   1,744             1,983       28         0            0
`
	var got strings.Builder
	contributionTable(&got, []operation.Contribution{
		{
			Origin: "alder", Given: 4446, Sole: 1674, Corroborated: 2772, UniqueFirst: 3000, Led: 1326, ConfirmedOthers: 1446, Relayed: 18,
			NotCounted: map[fusion.Reason]int{"stale": 2, "relay": 18},
		},
		{Origin: "elm", Given: 1437, Sole: 482, Corroborated: 955, UniqueFirst: 900, Led: 418, ConfirmedOthers: 537, Relayed: 10},
	})
	if got.String() != want {
		t.Errorf("table:\n%s\nwant:\n%s", got.String(), want)
	}
}

func TestThousands(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 123456: "123,456", 1234567: "1,234,567"} {
		if got := thousands(n); got != want {
			t.Errorf("thousands(%d) = %s, want %s", n, got, want)
		}
	}
}
