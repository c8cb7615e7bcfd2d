package sqlite

import (
	"database/sql"
	"encoding/json"
	"time"
)

// rowScanner is *sql.Row or *sql.Rows.
type rowScanner interface{ Scan(dest ...any) error }

// micros is how a time is stored: microseconds since 1970, UTC. Finer parts
// are cut off.
func micros(t time.Time) int64 { return t.UnixMicro() }

// optionalText is NULL for an empty text.
func optionalText(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// optionalMicros is NULL for the zero time.
func optionalMicros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

func fromOptional(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return fromMicros(us.Int64)
}

// jsonArray carries a list as one parameter, for json_each.
func jsonArray[E string | int64](list []E) string {
	b, err := json.Marshal(list)
	if err != nil {
		return "[]" // strings and numbers always encode
	}
	return string(b)
}
