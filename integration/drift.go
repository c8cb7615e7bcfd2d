package integration

import "time"

// DriftKind is one way in which a provider leaves what it promised.
type DriftKind string

// The kinds of drift (R0.4), and the announcement of an end (R0.3).
const (
	DriftMissingField DriftKind = "missing_field"           // required by the document, or by a mapping row that fails without it
	DriftNewValue     DriftKind = "new_enum_value"          // a value that neither the document nor the row names
	DriftChangedType  DriftKind = "changed_type"            // a string where a number was
	DriftNull         DriftKind = "null_where_not_nullable" // null where a value was promised
	DriftNewField     DriftKind = "new_field"               // a field the document does not know; no harm by itself
	DriftUnknownCode  DriftKind = "unmapped_error_code"     // an error code that the profile gives no meaning
	DriftDeprecation  DriftKind = "deprecation"             // the provider announces the end of an operation
)

// Drift is one place where a provider's answers differ from its document or
// from the plan. There is one record for each (service, endpoint, pointer,
// kind), however often it is seen. It never holds values that could be
// somebody's data.
type Drift struct {
	Service  string    // the integration's slug
	Endpoint string    // name in the plan; empty for the proxy
	Pointer  string    // JSON pointer in the answer, "*" for any element of a list: /data/*/status
	Kind     DriftKind // in which way
	Row      string    // id of the plan's row it is about: mapping.customer.email; empty when no row is
	Expected string    // what was promised: "string", "one of 5 values"
	Example  string    // what came instead, by its shape: "string of 14 characters"; an enum's value itself where that is no personal data
	Ends     time.Time // of a deprecation: when the operation stops working (Sunset), else since when it is deprecated; zero when not told

	FirstSeen time.Time
	LastSeen  time.Time
	Count     int64 // how often it was seen, in answers that were looked at; handed to a store, how many are new
}
