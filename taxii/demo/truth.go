package demo

// Truth has the figures that a scenario must yield.
type Truth struct {
	Sent

	Centre, Bureaus View           // C2 servers as each audience sees them
	Countries       []CountryTruth // by code
	SiteOrigins     []int          // websites with 1, 2, … origins
	Vendors         []VendorTruth  // by slug
	Outcomes        map[Status]int // reported by the countries
	Neutralised     int            // of these: taken down, sinkholed or seized
	Disagreeing     int            // findings that are not RED about which the sources name another country
	Reports         []string       // numbers, by country
}

// Sent counts the records and observables that vendors push.
type Sent struct {
	Records, Counted, Relays, Repeats int // of the C2 side
	IPv4, IPv6, Domains, Targets      int // observables asserted; addresses known only as targets of resolutions
	Submissions, URLs                 int // of websites
}

// View is the C2 servers as one audience sees them.
type View struct {
	Servers    int
	Origins    []int       // servers with 1, 2, … origins
	Confidence map[int]int // servers by confidence
	Digest     string      // SHA-256 of the fused set, hexadecimal
}

// CountryTruth is one column of the table of countries.
type CountryTruth struct {
	Code                         string
	Servers, Releasable, Strict  int
	Sites, Portals, Issues       int
	AbsorbedC2, AbsorbedWeb, Own int
	Open, Reports                int
}

// VendorTruth is one row of contribution accounting, C2 servers only.
type VendorTruth struct {
	Vendor                       string
	Given, Sole, Relayed, RedOne int // RedOne: sole and RED
}

// ASEAN is the truth of the preset asean. It was computed independently of this code.
func ASEAN() Truth {
	return Truth{
		Sent: Sent{
			Records: 16_613, Counted: 15_090, Relays: 64, Repeats: 321,
			IPv4: 8_126, IPv6: 116, Domains: 895, Targets: 276,
			Submissions: 864, URLs: 560,
		},
		Centre: View{
			8_913, []int{5_206, 2_118, 1_004, 402, 141, 35, 7}, map[int]int{50: 5_206, 70: 2_118, 90: 1_589},
			"d5473a603bf5ba1aebe82fbb2ab13e161678b4a750cc933cfe3d5d89dba56563",
		},
		Bureaus: View{
			8_896, []int{5_198, 2_109, 1_004, 402, 141, 35, 7}, map[int]int{50: 5_198, 70: 2_109, 90: 1_589},
			"576040037c3f0de9460c333b82d8f223ad57ac46f331e2b6086d542dedb00363",
		},
		Countries: []CountryTruth{
			{"BN", 21, 21, 1, 2, 0, 2, 0, 0, 1, 1, 1},
			{"ID", 2_041, 2_040, 24, 61, 9, 6, 2, 1, 2, 1, 4},
			{"KH", 247, 247, 2, 14, 3, 2, 1, 0, 0, 1, 2},
			{"LA", 33, 33, 1, 4, 1, 1, 0, 0, 0, 1, 0},
			{"MM", 131, 131, 1, 9, 2, 2, 0, 1, 0, 1, 2},
			{"MY", 1_188, 1_184, 13, 37, 4, 4, 1, 1, 1, 1, 3},
			{"PH", 861, 860, 15, 29, 5, 3, 1, 0, 1, 1, 3},
			{"SG", 1_103, 1_102, 13, 18, 1, 4, 1, 1, 1, 1, 3},
			{"TH", 1_412, 1_408, 22, 44, 6, 4, 1, 1, 1, 1, 3},
			{"VN", 1_876, 1_870, 28, 52, 7, 3, 1, 1, 0, 1, 2},
		},
		SiteOrigins: []int{171, 66, 24, 9},
		Vendors: []VendorTruth{
			{"alder", 4_446, 1_674, 18, 9}, {"birch", 3_439, 1_181, 11, 2}, {"cedar", 2_456, 806, 14, 1},
			{"dogwood", 1_954, 649, 8, 2}, {"elm", 1_437, 482, 10, 1}, {"fir", 870, 284, 1, 1}, {"ginkgo", 424, 130, 2, 1},
		},
		Outcomes: map[Status]int{
			TakenDown: 5_484, Sinkholed: 368, Seized: 88, InProgress: 1_570, Unreachable: 803, Disputed: 259, NoAction: 270,
		},
		Neutralised: 5_940, Disagreeing: 28,
		Reports: []string{
			"CAR-2017-BN-ISSUE-1",
			"CAR-2017-ID-C2", "CAR-2017-ID-WEB", "CAR-2017-ID-ISSUE-1", "CAR-2017-ID-ISSUE-2",
			"CAR-2017-KH-C2", "CAR-2017-KH-WEB",
			"CAR-2017-MM-C2", "CAR-2017-MM-WEB",
			"CAR-2017-MY-C2", "CAR-2017-MY-WEB", "CAR-2017-MY-ISSUE-1",
			"CAR-2017-PH-C2", "CAR-2017-PH-WEB", "CAR-2017-PH-ISSUE-1",
			"CAR-2017-SG-C2", "CAR-2017-SG-WEB", "CAR-2017-SG-ISSUE-1",
			"CAR-2017-TH-C2", "CAR-2017-TH-WEB", "CAR-2017-TH-ISSUE-1",
			"CAR-2017-VN-C2", "CAR-2017-VN-WEB",
		},
	}
}
