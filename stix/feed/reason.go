package feed

// Reason says why an indicator or an entry is left out of a list. Its text is a
// stable name by which they are counted.
type Reason string

// The reasons why [Extractor.Extract] leaves an indicator out.
const (
	NotIndicator Reason = "not-indicator" // the object is of another type
	Revoked      Reason = "revoked"
	Benign       Reason = "benign"       // its indicator_types name it benign
	PatternType  Reason = "pattern-type" // the pattern is in a language that no format takes
	Syntax       Reason = "syntax"       // the pattern cannot be parsed
	And          Reason = "and"          // one value is not enough for the pattern to match
	FollowedBy   Reason = "followed-by"
	Not          Reason = "not"
	Qualifier    Reason = "qualifier" // START, STOP, WITHIN or REPEATS
	Operator     Reason = "operator"  // a test other than =, IN, and ISSUBSET of addresses
	Property     Reason = "property"  // a test of a property that no list has
	BadValue     Reason = "bad-value" // no value of the pattern has a normal form
)

// The reasons why an entry is left out.
const (
	NeverBlocked Reason = "never-block" // it would block a value that must stay reachable
	Covered      Reason = "covered"     // another entry of the list includes it
	OverLimit    Reason = "limit"       // the list is full of entries of higher confidence, or newer ones
	Unfit        Reason = "unfit"       // the product could not read the value, or would read it as another one
	Duplicate    Reason = "duplicate"   // the list has a rule of the same name or number
	Broken       Reason = "broken"      // a rule is not well-formed
	Unsafe       Reason = "unsafe"      // a rule would change what other rules do, or read or write files
)
