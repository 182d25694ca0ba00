package server_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// checklist says for every item of the TAXII checklist (T), and for what real
// clients need beyond it (C), which tests hold it: the names of test functions,
// joined by commas, with a case behind a slash where one case is enough; or a
// word why there is none. Numbers that are not in the checklist are left out.
var checklist = map[string]string{
	"T-001": "TestTLS",
	"T-002": "TestTLS",
	"T-003": "TestTLS",
	"T-004": "no test here: crypto/tls has no server side of 0-RTT",
	"T-005": "no test here: the cipher suites are chosen in cmd/comity/tls.go and tested there",
	"T-006": "TestUserAgentIsNotNeeded",
	"T-007": "TestPropertyNamesAreThoseOfTAXII, TestBodiesThatAreNoEnvelope",
	"T-008": "TestEveryAnswerHasTheOneContentType, FuzzRequest",
	"T-010": "TestAcceptThatCoversTheTypeIsAnswered/the_type",
	"T-011": "TestAcceptThatCoversTheTypeIsAnswered/space",
	"T-012": "TestAcceptThatCoversTheTypeIsAnswered/no_version",
	"T-013": "TestAcceptThatCoversTheTypeIsAnswered/quoted",
	"T-014": "TestAcceptThatCoversTheTypeIsAnswered/letter_case",
	"T-015": "TestAcceptThatCoversTheTypeIsAnswered/weight",
	"T-016": "TestAcceptThatCoversTheTypeIsAnswered/not_the_first",
	"T-017": "TestAcceptThatCoversTheTypeIsAnswered/beside_another_version",
	"T-018": "TestAcceptThatCoversTheTypeIsAnswered/beside_STIX",
	"T-019": "TestAcceptThatCoversTheTypeIsAnswered/everything",
	"T-020": "TestAcceptThatCoversTheTypeIsAnswered/a_script's_default",
	"T-021": "TestAcceptThatCoversTheTypeIsAnswered/none",
	"T-022": "TestAcceptThatCoversNothingIs406/a_page",
	"T-023": "TestAcceptThatCoversNothingIs406/TAXII_2.0_in_the_new_form",
	"T-024": "TestAcceptThatCoversNothingIs406/TAXII_2.0",
	"T-025": "TestAcceptThatCoversNothingIs406/weight_0",
	"T-026": "TestAcceptThatCoversNothingIs406",
	"T-027": "TestNegotiationComesBeforeAnyEffect",
	"T-029": "TestContentTypeOfAPush/the_type",
	"T-030": "TestContentTypeOfAPush/no_version",
	"T-031": "TestContentTypeOfAPush",
	"T-032": "TestContentTypeOfAPush",
	"T-033": "TestContentTypeOfAPush/none",
	"T-034": "TestContentTypeOfAPush/a_later_version",
	"T-035": "TestNegotiationComesBeforeAnyEffect",
	"T-040": "TestSlashesAreForgivenWithoutARedirect",
	"T-041": "TestSlashesAreForgivenWithoutARedirect",
	"T-042": "TestUnknownPathsAre404",
	"T-043": "TestMethodsAnEndpointLacksAre405WithAllow",
	"T-044": "TestHeadGivesTheHeadersOfGet",
	"T-045": "TestMethodsAnEndpointLacksAre405WithAllow",
	"T-046": "TestRangeIsIgnored",
	"T-047": "TestGzipIsGivenToThoseWhoAsk",
	"T-048": "TestContentEncodingOfAPush, TestMaxContentLengthIsExact, TestEndlessBodiesAreAnsweredBeforeTheirEnd",
	"T-049": "TestChunkedPushIsTaken, TestMaxContentLengthIsExact",
	"T-050": "TestWithoutCredentialsEverythingIs401",
	"T-051": "TestWithoutCredentialsEverythingIs401",
	"T-052": "TestWrongCredentialsAreRefusedAlike",
	"T-054": "TestGarbageInAuthorizationIs401",
	"T-055": "TestPasswordOpensItsAccount, TestOneTokenWorksInEveryPlace",
	"T-056": "TestWithoutCredentialsEverythingIs401",
	"T-057": "TestWithoutCredentialsEverythingIs401",
	"T-058": "TestOneTokenWorksInEveryPlace, TestClientCertificateOpensItsAccount",
	"T-060": "TestReaderReadsAndDoesNotWrite",
	"T-061": "TestReaderReadsAndDoesNotWrite",
	"T-062": "TestReaderReadsAndDoesNotWrite",
	"T-063": "TestWriterWithoutReadingWritesOnly",
	"T-064": "TestWriterWithoutReadingWritesOnly",
	"T-065": "TestDeleteWithoutReadingIs403",
	"T-066": "TestWriterWithoutReadingWritesOnly",
	"T-067": "TestCollectionListHoldsWhatTheCallerHasARightTo",
	"T-068": "TestHiddenCollectionLooksLikeOneThatDoesNotExist",
	"T-069": "TestHiddenCollectionLooksLikeOneThatDoesNotExist",
	"T-070": "TestHiddenCollectionLooksLikeOneThatDoesNotExist",
	"T-071": "TestHiddenCollectionLooksLikeOneThatDoesNotExist",
	"T-072": "TestCollectionListHoldsWhatTheCallerHasARightTo",
	"T-073": "TestStatusIsReadByTheAccountThatPushedAlone",
	"T-074": "TestReaderReadsAndDoesNotWrite, TestHiddenCollectionLooksLikeOneThatDoesNotExist",
	"T-080": "TestErrorsAreErrorResources",
	"T-081": "TestErrorsAreErrorResources",
	"T-082": "TestMalformedQueriesAre400, TestMalformedTimesAre400, TestLimits",
	"T-083": "TestErrorsShowNothingOfTheInside, TestFaultsTellTheCallerNothing",
	"T-090": "TestDiscoveryNamesTheRootByItsPublicURL",
	"T-091": "TestDiscoveryNamesTheRootByItsPublicURL",
	"T-092": "TestDiscoveryNamesTheRootByItsPublicURL",
	"T-093": "TestDiscoveryNamesTheRootByItsPublicURL",
	"T-094": "TestDiscoveryNamesTheRootByItsPublicURL",
	"T-097": "TestAPIRootHasWhatIsRequired",
	"T-100": "TestUnknownPathsAre404",
	"T-101": "no test here: a data folder serves one API root",
	"T-105": "TestWithoutACollectionTheListIsEmptyBraces",
	"T-106": "TestCollectionResources",
	"T-107": "TestCollectionResources",
	"T-108": "TestCollectionsComeById",
	"T-109": "TestCollectionResources",
	"T-110": "TestUnknownCollectionsAre404",
	"T-111": "TestCollectionResources",
	"T-112": "TestCollectionResources, TestAliasWorksInEveryURL",
	"T-113": "TestPropertyNamesAreThoseOfTAXII",
	"T-114": "TestCollectionListHasNeitherPagesNorFilters",
	"T-120": "TestPushIs202WithACompleteStatus",
	"T-121": "TestPushIs202WithACompleteStatus, TestStatusCountsAddUpAndListsAreWhole",
	"T-122": "TestStatusCountsAddUpAndListsAreWhole",
	"T-123": "TestStatusCountsAddUpAndListsAreWhole",
	"T-124": "TestStatusNamesVersionsAsTheManifestDoes",
	"T-125": "TestStatusNamesVersionsAsTheManifestDoes",
	"T-126": "TestStatusStaysAsItWas",
	"T-127": "TestPushIs202WithACompleteStatus",
	"T-128": "TestUnknownStatusIs404, TestStatusStaysAsItWas",
	"T-129": "TestStatusStaysAsItWas",
	"T-130": "TestExactDuplicateIsASuccessAndDoesNotReappear",
	"T-131": "TestExactDuplicateIsASuccessAndDoesNotReappear",
	"T-132": "TestOtherContentUnderTheSameVersionIsAFailureAndTheFirstStays",
	"T-133": "TestTheSameObjectTwiceInOneEnvelopeIsStoredOnce",
	"T-134": "TestVersionsInOneEnvelopeAreAllStoredInAnyOrder",
	"T-135": "TestTheSameObjectsFromSeveralClientsAtOnceAreStoredOnce",
	"T-136": "TestBadObjectsFailAloneAndBreakNothing",
	"T-137": "TestBodiesThatAreNoEnvelope",
	"T-138": "TestBodiesThatAreNoEnvelope",
	"T-139": "TestBodiesThatAreNoEnvelope/empty",
	"T-140": "TestBundleIsTakenInPlaceOfAnEnvelope",
	"T-141": "TestBundleIsTakenInPlaceOfAnEnvelope",
	"T-142": "TestMaxContentLengthIsExact, TestEndlessBodiesAreAnsweredBeforeTheirEnd",
	"T-143": "TestMaxContentLengthIsExact",
	"T-144": "TestObjectsComeBackAsSent, TestRealData",
	"T-145": "TestEveryFamilyOfObjectsIsTaken",
	"T-146": "TestStatusCountsAddUpAndListsAreWhole",
	"T-147": "TestAThousandObjectsInOnePush",
	"T-148": "TestDeepNestingIsRefused",
	"T-150": "TestEnvelopeIsNoBundle",
	"T-151": "TestOrderIsThatOfAdding",
	"T-152": "TestOrderIsThatOfAdding",
	"T-153": "TestDateHeadersAreThoseOfTheEntriesOnThePage",
	"T-154": "TestDateHeadersAreThoseOfTheEntriesOnThePage, TestManifestHasOneRecordAVersion",
	"T-155": "TestDateHeadersAreThoseOfTheEntriesOnThePage",
	"T-156": "TestDateHeadersAreThoseOfTheEntriesOnThePage",
	"T-157": "TestEmptyResultIsEmptyBraces",
	"T-158": "TestEmptyResultIsEmptyBraces",
	"T-159": "TestObjectIsAnEnvelope",
	"T-160": "TestObjectIsAnEnvelope",
	"T-161": "TestObjectIsAnEnvelope",
	"T-162": "TestObjectIsAnEnvelope",
	"T-163": "TestFiltersOfAnObject",
	"T-164": "TestDateOfAnswersIsTheClockOfTheExchange",
	"T-165": "TestAThousandObjectsInOnePush",
	"T-166": "TestDateAddedGrowsWhateverTheClockDoes",
	"T-170": "TestAddedAfterIsExclusiveToTheMicrosecond",
	"T-171": "TestAddedAfterIsExclusiveToTheMicrosecond",
	"T-172": "TestAddedAfterIsReadInManySpellings",
	"T-173": "TestMalformedTimesAre400",
	"T-175": "TestAddedAfterIsReadInManySpellings",
	"T-176": "TestMatchTypeAndID",
	"T-177": "TestMatchTypeAndID",
	"T-178": "TestMatchTypeAndID",
	"T-179": "TestMatchTypeAndID",
	"T-180": "TestNoTypeOfSTIXIsAnError",
	"T-181": "TestMatchTypeAndID, TestLongListsOfIDs",
	"T-183": "TestMatchTypeAndID",
	"T-184": "TestMatchTypeAndID",
	"T-185": "TestMalformedQueriesAre400",
	"T-186": "TestMatchTypeAndID, TestManifestPagesAreThoseOfObjects",
	"T-187": "TestMalformedQueriesAre400",
	"T-190": "TestMatchVersion",
	"T-191": "TestMatchVersion",
	"T-192": "TestMatchVersion",
	"T-193": "TestMatchVersion",
	"T-194": "TestMatchVersion",
	"T-196": "TestMatchVersion, TestSpellingOfAnInstantDoesNotMatter",
	"T-197": "TestMatchVersion",
	"T-198": "TestCreatedIsTheVersionOfWhatIsNeverModified",
	"T-199": "TestVersionOfAnObservableIsItsDateAdded",
	"T-200": "TestMatchVersion",
	"T-201": "TestMatchVersion",
	"T-202": "TestOnlyVersionIsFirstAndLast",
	"T-204": "TestPollerGetsANewVersionWithoutTheOld",
	"T-210": "TestMatchSpecVersion",
	"T-211": "TestMatchSpecVersion",
	"T-213": "TestMatchSpecVersion",
	"T-214": "TestMatchSpecVersion",
	"T-215": "TestManifestHasOneRecordAVersion, TestAbsentSpecVersion",
	"T-216": "TestAbsentSpecVersion",
	"T-217": "TestMatchSpecVersion",
	"T-220": "TestManifestHasOneRecordAVersion",
	"T-222": "TestManifestHasOneRecordAVersion",
	"T-223": "TestManifestHasOneRecordAVersion",
	"T-230": "TestVersionsComeInTheOrderOfAdding",
	"T-231": "TestVersionsComeInTheOrderOfAdding",
	"T-232": "TestVersionsComeInTheOrderOfAdding, TestDateHeadersAreThoseOfTheEntriesOnThePage",
	"T-233": "TestVersionsComeInTheOrderOfAdding",
	"T-234": "TestVersionsComeInTheOrderOfAdding",
	"T-236": "TestVersionsComeInTheOrderOfAdding",
	"T-240": "TestWalkGivesEachEntryOnceInTheOrderOfThePush, TestLimits",
	"T-241": "TestWalkGivesEachEntryOnceInTheOrderOfThePush, TestLimits",
	"T-242": "TestWalkGivesEachEntryOnceInTheOrderOfThePush",
	"T-243": "TestWalkGivesEachEntryOnceInTheOrderOfThePush",
	"T-244": "TestPageEndsWhereTheEntriesEnd",
	"T-245": "TestWalkGivesEachEntryOnceInTheOrderOfThePush",
	"T-246": "TestLimits",
	"T-247": "TestLimits",
	"T-248": "TestLimits",
	"T-249": "TestWalkByTheLastHeaderLosesNothing",
	"T-250": "TestAThousandObjectsInOnePush",
	"T-251": "TestNextCarriesTheQuery",
	"T-252": "TestNextCanBeUsedAgainAtAnyTime",
	"T-253": "TestInventedNextIs400",
	"T-254": "TestParametersBesideNextWin",
	"T-255": "TestNextOfAnotherCollectionStartsThisOne",
	"T-256": "TestNextCarriesNoRight",
	"T-257": "TestManifestPagesAreThoseOfObjects",
	"T-258": "TestWalkWhileOthersWrite, TestEntriesAddedDuringAWalkComeAtItsEnd",
	"T-259": "TestPollersMissNothingWhileEightWritersPush",
	"T-260": "TestWalkSurvivesDeletions, TestNextCanBeUsedAgainAtAnyTime",
	"T-263": "TestFilteredPagesAreFull, TestNextCarriesTheQuery",
	"T-264": "TestParametersBesideNextWin",
	"T-265": "TestPollWithTheLastCursorIsEmptyThenNew",
	"T-270": "TestDeleteTakesAwayEveryVersion",
	"T-273": "TestDeleteTakesAwayEveryVersion",
	"T-274": "TestDeleteTakesAwayEveryVersion",
	"T-275": "TestDeleteOfSomeVersions",
	"T-276": "TestDeleteOfSomeVersions, TestDeleteThatNamesWhatIsNotThereDeletesNothing",
	"T-277": "TestDeleteThatNamesWhatIsNotThereDeletesNothing",
	"T-278": "TestDeleteOfSomeVersions",
	"T-279": "TestDeletedObjectCanBeAddedAgain",
	"T-280": "TestDeleteOfSomeVersions",
	"T-281": "TestCollectionsKeepTheirOwnCopyAndDate",
	"T-282": "TestWithoutCredentialsEverythingIs401, TestReaderReadsAndDoesNotWrite, TestHiddenCollectionLooksLikeOneThatDoesNotExist, TestNegotiationComesBeforeAnyEffect",
	"T-290": "TestCollectionsKeepTheirOwnCopyAndDate",
	"C-01":  "TestSlashesAreForgivenWithoutARedirect",
	"C-02":  "TestSlashesAreForgivenWithoutARedirect",
	"C-07":  "TestMatchTypeAndID, TestMalformedQueriesAre400",
	"C-11":  "TestAcceptThatCoversTheTypeIsAnswered/JSON",
	"C-12":  "TestAcceptThatCoversNothingIs406/TAXII_2.0",
	"C-13":  "TestContentTypeOfOtherRequestsIsIgnored",
	"C-14":  "TestContentTypeOfAPush/STIX_2.1",
	"C-16":  "TestPasswordOpensItsAccount",
	"C-17":  "TestOneTokenWorksInEveryPlace",
	"C-18":  "TestWithoutCredentialsEverythingIs401",
	"C-19":  "no test here: there is no anonymous reading",
	"C-20":  "TestClientCertificateOpensItsAccount",
	"C-24":  "TestNextCarriesTheQuery, TestNextOfALongQueryNeedsTheQuery",
	"C-25":  "TestNextCarriesTheQuery, TestParametersBesideNextWin",
	"C-26":  "TestNextCarriesTheQuery",
	"C-27":  "TestNextCanBeUsedAgainAtAnyTime",
	"C-28":  "TestNextOfAnotherCollectionStartsThisOne",
	"C-29":  "TestNextIsShortAndSafeInURLs",
	"C-30":  "TestWalkGivesEachEntryOnceInTheOrderOfThePush, TestFilteredPagesAreFull",
	"C-31":  "TestAccountsMadeForFragileClientsGetAnEmptyList",
	"C-33":  "TestLimits",
	"C-38":  "TestAddedAfterIsReadInManySpellings",
	"C-39":  "TestAddedAfterIsExclusiveToTheMicrosecond",
	"C-40":  "TestDateHeadersAreThoseOfTheEntriesOnThePage, TestAThousandObjectsInOnePush",
	"C-41":  "TestDateHeadersAreThoseOfTheEntriesOnThePage",
	"C-42":  "TestEmptyResultIsEmptyBraces, TestPollWithTheLastCursorIsEmptyThenNew",
	"C-43":  "TestPollersMissNothingWhileEightWritersPush",
	"C-45":  "TestPushIs202WithACompleteStatus",
	"C-46":  "TestStatusCountsAddUpAndListsAreWhole",
	"C-47":  "TestBundleIsTakenInPlaceOfAnEnvelope",
	"C-48":  "TestExactDuplicateIsASuccessAndDoesNotReappear",
	"C-49":  "TestBadObjectsFailAloneAndBreakNothing, TestEveryFamilyOfObjectsIsTaken",
	"C-50":  "TestStatusStaysAsItWas",
	"C-51":  "TestTheSameObjectsFromSeveralClientsAtOnceAreStoredOnce, TestPushesOfOneAccountWaitForEachOther",
	"C-52":  "TestDeleteTakesAwayEveryVersion",
	"C-53":  "TestErrorsAreErrorResources, TestSuccessHasNoHTTPStatus",
	"C-54":  "TestStoreThatIsAwayIs503WithRetryAfter",
	"C-55":  "TestPagesOfANamedOriginMayCallTheServer",
}

// gaps are the numbers up to T-290 that no item has.
const gaps = `9 28 36 37 38 39 53 59 75 76 77 78 79 84 85 86 87 88 89 95 96 98 99 102 103 104 115 116 117 118 119 149 167
	168 169 174 182 188 189 195 203 205 206 207 208 209 212 218 219 221 224 225 226 227 228 229 235 237 238 239
	261 262 266 267 268 269 271 272 283 284 285 286 287 288 289`

func TestChecklistIsCovered(t *testing.T) {
	none := strings.Fields(gaps)
	for n := 1; n <= 290; n++ {
		item := fmt.Sprintf("T-%03d", n)
		if _, listed := checklist[item]; listed == slices.Contains(none, strconv.Itoa(n)) {
			t.Errorf("%s: listed %t", item, listed)
		}
	}
	functions, words := declared(t)
	for item, tests := range checklist {
		if strings.HasPrefix(tests, "no test here: ") {
			continue
		}
		for test := range strings.SplitSeq(tests, ", ") {
			function, name, hasCase := strings.Cut(test, "/")
			if !functions[function] {
				t.Errorf("%s: there is no %s", item, function)
			}
			if hasCase && !words[strings.ReplaceAll(name, "_", " ")] {
				t.Errorf("%s: there is no case %q", item, name)
			}
		}
	}
}

// declared are the test functions of this package, and all strings in them.
func declared(t *testing.T) (functions, words map[string]bool) {
	t.Helper()
	functions, words = map[string]bool{}, map[string]bool{}
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range parsed.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil {
				functions[f.Name.Name] = true
			}
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
				if word, err := strconv.Unquote(literal.Value); err == nil {
					words[word] = true
				}
			}
			return true
		})
	}
	return functions, words
}
