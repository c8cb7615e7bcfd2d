package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/sallyport/sallyport/integration"
)

// Storage says how large the database is.
type Storage interface {
	Sizes(ctx context.Context) (integration.StoreSize, error)
}

// storageAge is how old an answer may be: asking may read a whole file.
const storageAge = time.Minute

// measured is the last answer.
type measured struct {
	mu   sync.Mutex
	at   time.Time
	size integration.StoreSize
}

// StorageView is how large the database is.
type StorageView struct {
	MeasuredAt time.Time   `json:"measured_at" doc:"at most a minute ago"`
	Bytes      int64       `json:"bytes" doc:"the database as a whole"`
	FreeBytes  *int64      `json:"free_bytes,omitempty" doc:"of these, used again before more is taken; absent when it is not known"`
	LogBytes   *int64      `json:"log_bytes,omitempty" doc:"the write-ahead log beside it; absent when it is not known"`
	Tables     []TableView `json:"tables"`
}

// TableView is how large one table is.
type TableView struct {
	Table string `json:"table"`
	Rows  *int64 `json:"rows,omitempty" doc:"about; absent when it is not known"`
	Bytes *int64 `json:"bytes,omitempty" doc:"with its indexes; absent when it is not known"`
}

type storageOutput struct{ Body StorageView }

func (s *server) storageRoutes(routes huma.API) {
	if s.Storage == nil {
		return
	}
	huma.Register(routes, huma.Operation{
		OperationID: "get-storage", Method: http.MethodGet, Path: "/api/v1/admin/storage",
		Summary:     "How large the database is",
		Description: "By table. Retention keeps it from growing for ever: webhooks.retention of each plan, retention_calls of the gateway.",
		Tags:        []string{"admin"}, Security: secured, Middlewares: s.withKey(integration.ScopeAdmin),
	}, s.storage)
}

func (s *server) storage(ctx context.Context, _ *struct{}) (*storageOutput, error) {
	m := &s.measured
	m.mu.Lock()
	defer m.mu.Unlock()
	if now := s.Now(); m.at.IsZero() || now.Sub(m.at) >= storageAge {
		size, err := s.Storage.Sizes(ctx)
		if err != nil {
			return nil, s.failed(err, "storage")
		}
		m.at, m.size = now.UTC(), size
	}
	out := &storageOutput{Body: StorageView{MeasuredAt: m.at, Bytes: m.size.Bytes, FreeBytes: knownSize(m.size.Free), LogBytes: knownSize(m.size.Log)}}
	for _, t := range m.size.Tables {
		out.Body.Tables = append(out.Body.Tables, TableView{Table: t.Table, Rows: knownSize(t.Rows), Bytes: knownSize(t.Bytes)})
	}
	return out, nil
}

// knownSize is nil for a size that is not known.
func knownSize(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}
