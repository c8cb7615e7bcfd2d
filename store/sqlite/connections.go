package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport/sallyport/integration"
)

const connectionColumns = "seq, id, tenant_id, service, environment, kind, state, reason, account, base_url, variables, scopes, " +
	"created_at, updated_at, expires_at, renew_before, last_used_at, version, task, due_at, attempts"

const insertConnection = `INSERT INTO connections
	(id, tenant_id, service, environment, kind, state, reason, account, base_url, variables, scopes, created_at, updated_at, expires_at, renew_before, version, task, due_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?)`

// updateConnection leaves tenant, service and environment as they are: they are
// what a connection is.
const updateConnection = `UPDATE connections
SET kind = ?3, state = ?4, reason = ?5, account = ?6, base_url = ?7, variables = ?8, scopes = ?9, updated_at = ?10, expires_at = ?11, renew_before = ?12,
	version = version + 1, task = ?13, due_at = ?14, attempts = ?15
WHERE id = ?1 AND version = ?2`

// CreateConnection keeps a new connection with all of the change, or nothing.
// An id that is there already is integration.ErrState.
func (s *Store) CreateConnection(ctx context.Context, change integration.ConnectionChange) error {
	event, err := checkChange(&change)
	if err != nil {
		return err
	}
	c := &change.Connection
	return s.writer.do(ctx, s.writer.jobs, func(t *transaction) error {
		var there bool
		err := t.query(func(r rowScanner) error { return r.Scan(&there) }, "SELECT EXISTS (SELECT 1 FROM connections WHERE id = ?)", c.ID)
		if err != nil {
			return fmt.Errorf("sqlite: connection %s: %w", c.ID, err)
		}
		if there {
			return fmt.Errorf("connection %s is there already: %w", c.ID, integration.ErrState)
		}
		_, err = t.exec(insertConnection, c.ID, c.Tenant, c.Service, c.Environment, c.Kind, string(c.State), c.Reason, c.Account, c.BaseURL,
			encodeMap(c.Variables), encodeList(c.Scopes), micros(c.CreatedAt), micros(c.UpdatedAt), optionalMicros(c.ExpiresAt), optionalMicros(c.RenewBefore),
			string(c.Task), optionalMicros(c.DueAt))
		if err != nil {
			return fmt.Errorf("sqlite: connection %s: %w", c.ID, err)
		}
		return s.along(t, &change, event)
	})
}

// ChangeConnection writes a change. It is integration.ErrFenced when the
// connection was changed since it was read, and integration.ErrNotFound when
// there is none.
func (s *Store) ChangeConnection(ctx context.Context, change integration.ConnectionChange) error {
	event, err := checkChange(&change)
	if err != nil {
		return err
	}
	return s.writer.do(ctx, s.writer.jobs, func(t *transaction) error { return s.change(t, &change, event) })
}

func (s *Store) change(t *transaction, change *integration.ConnectionChange, event *newEvent) error {
	c := &change.Connection
	n, err := t.exec(updateConnection, c.ID, c.Version, c.Kind, string(c.State), c.Reason, c.Account, c.BaseURL,
		encodeMap(c.Variables), encodeList(c.Scopes), micros(c.UpdatedAt), optionalMicros(c.ExpiresAt), optionalMicros(c.RenewBefore),
		string(c.Task), optionalMicros(c.DueAt), c.Attempts)
	if err != nil {
		return fmt.Errorf("sqlite: connection %s: %w", c.ID, err)
	}
	if n == 0 {
		return whyFenced(t, c.ID)
	}
	return s.along(t, change, event)
}

// whyFenced says whether a connection that was not changed is there at all.
func whyFenced(t *transaction, id string) error {
	var there bool
	err := t.query(func(r rowScanner) error { return r.Scan(&there) }, "SELECT EXISTS (SELECT 1 FROM connections WHERE id = ?)", id)
	switch {
	case err != nil:
		return fmt.Errorf("sqlite: connection %s: %w", id, err)
	case !there:
		return fmt.Errorf("connection %s: %w", id, integration.ErrNotFound)
	}
	return fmt.Errorf("connection %s: %w", id, integration.ErrFenced)
}

// checkChange refuses what could not be found or opened again.
func checkChange(change *integration.ConnectionChange) (event *newEvent, err error) {
	c := &change.Connection
	if c.ID == "" || c.Service == "" || c.State == "" || c.UpdatedAt.IsZero() {
		return nil, errors.New("sqlite: a connection needs an id, a service, a state and the time of the change")
	}
	if c.CreatedAt.IsZero() {
		c.CreatedAt = c.UpdatedAt
	}
	for i := range change.Put {
		p := &change.Put[i]
		if p.Field == "" || len(p.Sealed) == 0 || p.KeyID == "" || p.Connection != c.ID {
			return nil, fmt.Errorf("sqlite: connection %s: a credential needs its connection, a field, what is sealed and the id of its key", c.ID)
		}
	}
	if change.Event == nil {
		return nil, nil
	}
	headers, err := checkNew(change.Event)
	e := incoming(change.Event, headers)
	return &e, err
}

// along writes what belongs to a change beside the connection itself.
func (s *Store) along(t *transaction, change *integration.ConnectionChange, event *newEvent) error {
	id := change.Connection.ID
	if err := dropCredentials(t, change); err != nil {
		return fmt.Errorf("sqlite: credentials of connection %s: %w", id, err)
	}
	for i := range change.Put {
		if err := putCredential(t, &change.Put[i]); err != nil {
			return fmt.Errorf("sqlite: connection %s: %s: %w", id, change.Put[i].Field, err)
		}
	}
	if change.Audit != nil {
		if err := insertAudit(t, *change.Audit); err != nil {
			return err
		}
	}
	if event != nil {
		if _, err := t.exec(insertStatements[len(insertStatements)-1], appendRow(nil, event, s.options.Now())...); err != nil {
			return fmt.Errorf("sqlite: event %s about connection %s: %w", event.Type, id, err)
		}
	}
	return nil
}

// Connection returns a connection and its credentials as they are at one
// moment, the fields in order; integration.ErrNotFound if there is none.
func (s *Store) Connection(ctx context.Context, id string) (integration.Connection, []integration.Credential, error) {
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return integration.Connection{}, nil, fmt.Errorf("sqlite: connection %s: %w", id, err)
	}
	defer func() { _ = tx.Rollback() }() // it only read
	_, c, err := scanConnection(tx.QueryRowContext(ctx, "SELECT "+connectionColumns+" FROM connections WHERE id = ?", id))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return integration.Connection{}, nil, fmt.Errorf("connection %s: %w", id, integration.ErrNotFound)
	case err != nil:
		return integration.Connection{}, nil, fmt.Errorf("sqlite: connection %s: %w", id, err)
	}
	rows, err := tx.QueryContext(ctx, "SELECT "+credentialColumns+" FROM credentials WHERE connection_id = ? ORDER BY field", id)
	if err != nil {
		return integration.Connection{}, nil, fmt.Errorf("sqlite: credentials of connection %s: %w", id, err)
	}
	credentials, err := scanCredentials(rows)
	if err != nil {
		return integration.Connection{}, nil, fmt.Errorf("sqlite: credentials of connection %s: %w", id, err)
	}
	return c, credentials, nil
}

// ConnectionsOf returns a tenant's connections to one service in one
// environment, the youngest first; those that are disconnected come last.
func (s *Store) ConnectionsOf(ctx context.Context, service, environment, tenant string) ([]integration.Connection, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT "+connectionColumns+
		" FROM connections INDEXED BY connections_of WHERE service = ? AND tenant_id = ? AND environment = ? ORDER BY state = 'disconnected', seq DESC",
		service, tenant, environment)
	if err != nil {
		return nil, fmt.Errorf("sqlite: connections of a tenant: %w", err)
	}
	var list []integration.Connection
	err = each(rows, func(r rowScanner) error {
		_, c, err := scanConnection(r)
		list = append(list, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: connections of a tenant: %w", err)
	}
	return list, nil
}

// Connections lists connections, the youngest first. Of the filter, Status is
// the state and Type the environment; Query looks into id, account and reason;
// Since and Until are about the last change.
func (s *Store) Connections(ctx context.Context, f integration.Filter) (found []integration.Connection, next string, err error) {
	p := page{prefix: "k", table: "connections", columns: connectionColumns, hint: notIndexed, filter: f}
	switch { // an index that narrows it down beats one that has the order: nobody has many connections
	case f.Service != "" && f.Tenant != "":
		p.hint = "INDEXED BY connections_of"
	case f.Tenant != "":
		p.hint = "INDEXED BY connections_of_tenant"
	}
	p.where.equal("service", f.Service)
	p.where.equal("tenant_id", f.Tenant)
	p.where.equal("state", f.Status)
	p.where.equal("environment", f.Type)
	p.where.contains(f.Query, "id", "account", "reason")
	p.where.between("updated_at", f.Since, f.Until)
	return list(ctx, s, p, scanConnection)
}

// ConnectionCounts counts the connections of a service by state.
func (s *Store) ConnectionCounts(ctx context.Context, service, environment string) (map[string]int, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT state, count(*) FROM connections INDEXED BY connections_of WHERE service = ? AND environment = ? GROUP BY state", service, environment)
	if err != nil {
		return nil, fmt.Errorf("sqlite: counting connections: %w", err)
	}
	counts := map[string]int{}
	err = each(rows, func(r rowScanner) error {
		var state string
		var n int
		err := r.Scan(&state, &n)
		counts[state] = n
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("sqlite: counting connections: %w", err)
	}
	return counts, nil
}

// TouchConnections writes down when connections were last used. Ids that are
// not there are no error. It does not count as a change.
func (s *Store) TouchConnections(ctx context.Context, used map[string]time.Time) error {
	return s.writer.do(ctx, s.writer.jobs, func(t *transaction) error {
		for id, at := range used {
			if _, err := t.exec("UPDATE connections SET last_used_at = ?2 WHERE id = ?1 AND coalesce(last_used_at, 0) < ?2", id, micros(at)); err != nil {
				return fmt.Errorf("sqlite: use of connection %s: %w", id, err)
			}
		}
		return nil
	})
}

func scanConnection(r rowScanner) (seq int64, c integration.Connection, err error) {
	var variables, scopes string
	var created, updated int64
	var expires, renew, used, due sql.NullInt64
	err = r.Scan(&seq, &c.ID, &c.Tenant, &c.Service, &c.Environment, &c.Kind, (*string)(&c.State), &c.Reason, &c.Account, &c.BaseURL, &variables, &scopes,
		&created, &updated, &expires, &renew, &used, &c.Version, (*string)(&c.Task), &due, &c.Attempts)
	if err != nil {
		return 0, c, err
	}
	c.CreatedAt, c.UpdatedAt, c.ExpiresAt, c.RenewBefore = fromMicros(created), fromMicros(updated), fromOptional(expires), fromOptional(renew)
	c.LastUsedAt, c.DueAt = fromOptional(used), fromOptional(due)
	if c.Variables, err = decodeMap(variables); err != nil {
		return 0, c, fmt.Errorf("connection %s: variables: %w", c.ID, err)
	}
	if c.Scopes, err = decodeList(scopes); err != nil {
		return 0, c, fmt.Errorf("connection %s: scopes: %w", c.ID, err)
	}
	return seq, c, nil
}

// encodeMap and encodeList write text as JSON; nothing is an empty text.
func encodeMap(m map[string]string) string {
	if len(m) == 0 {
		return ""
	}
	b, err := json.Marshal(m)
	if err != nil {
		return "" // strings always encode
	}
	return string(b)
}

func decodeMap(text string) (m map[string]string, err error) {
	if text == "" {
		return nil, nil
	}
	err = json.Unmarshal([]byte(text), &m)
	return m, err
}

func encodeList(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return jsonArray(list)
}

func decodeList(text string) (list []string, err error) {
	if text == "" {
		return nil, nil
	}
	err = json.Unmarshal([]byte(text), &list)
	return list, err
}
