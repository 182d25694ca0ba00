package taxii

// Discovery answers GET /taxii2/ (TAXII 2.1 §4.1.1).
type Discovery struct {
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Contact     string   `json:"contact,omitempty"`
	Default     string   `json:"default,omitempty"`   // equals one of APIRoots
	APIRoots    []string `json:"api_roots,omitempty"` // absolute URLs with a trailing slash
}

// APIRoot describes one API root (TAXII 2.1 §4.2.1).
type APIRoot struct {
	Title            string   `json:"title"`
	Description      string   `json:"description,omitempty"`
	Versions         []string `json:"versions"`
	MaxContentLength int64    `json:"max_content_length"` // bytes of a push
}

// Collections lists the collections to which the caller has a right (TAXII 2.1 §5.1.1).
// An empty list is {} in JSON.
type Collections struct {
	Collections []Collection `json:"collections,omitempty"`
}

// Collection is one collection as one caller sees it (TAXII 2.1 §5.2.1).
type Collection struct {
	ID          string   `json:"id"` // UUIDv4
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Alias       string   `json:"alias,omitempty"`
	CanRead     bool     `json:"can_read"`
	CanWrite    bool     `json:"can_write"`
	MediaTypes  []string `json:"media_types"`
}

// ManifestRecord describes one version of one object (TAXII 2.1 §5.3.1).
type ManifestRecord struct {
	ID        string `json:"id"`
	DateAdded string `json:"date_added"`
	Version   string `json:"version"` // modified or else created, as the object spells it; without both, date_added
	MediaType string `json:"media_type"`
}

// Manifest is a page of records (TAXII 2.1 §5.3.1). An empty page is {} in JSON.
type Manifest struct {
	More    bool             `json:"more,omitempty"`
	Next    string           `json:"next,omitempty"`
	Objects []ManifestRecord `json:"objects,omitempty"`
}

// Versions is a page of the versions of one object (TAXII 2.1 §5.8.1).
type Versions struct {
	More     bool     `json:"more,omitempty"`
	Next     string   `json:"next,omitempty"`
	Versions []string `json:"versions,omitempty"`
}

// StatusDetail names one object of a push (TAXII 2.1 §4.3.1).
type StatusDetail struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	Message string `json:"message,omitempty"`
}

// Status is the result of a push (TAXII 2.1 §4.3.1). The counts add up to TotalCount.
type Status struct {
	ID               string         `json:"id"` // UUIDv4
	Status           string         `json:"status"`
	RequestTimestamp string         `json:"request_timestamp"`
	TotalCount       int            `json:"total_count"`
	SuccessCount     int            `json:"success_count"`
	FailureCount     int            `json:"failure_count"`
	PendingCount     int            `json:"pending_count"`
	Successes        []StatusDetail `json:"successes,omitempty"`
	Failures         []StatusDetail `json:"failures,omitempty"`
	Pendings         []StatusDetail `json:"pendings,omitempty"`

	// Extensions of ours (TAXII 2.1 §7.1).
	Warnings     []StatusDetail `json:"x_warnings,omitempty"` // on some of the successes
	SomeFailures []StatusDetail `json:"x_failures,omitempty"` // instead of Failures, if not all failures are listed
	DryRun       bool           `json:"x_dry_run,omitempty"`  // nothing was stored
}

// ErrorMessage is the body of every error answer (TAXII 2.1 §3.6.1).
type ErrorMessage struct {
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	ErrorID     string `json:"error_id,omitempty"`
	ErrorCode   Code   `json:"error_code,omitempty"`
	HTTPStatus  string `json:"http_status,omitempty"`
}
