package postgres

import (
	"database/sql"
	"time"
)

// micros is how a time is stored: microseconds since 1970, UTC. Finer parts
// are cut off.
func micros(t time.Time) int64 { return t.UnixMicro() }

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
