package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sallyport/sallyport/integration"
)

// EraseKeys deletes a tenant's data keys, what is sealed with them, and jobs
// about it alone, in one transaction: from then on nobody can open what a copy
// still holds, unless it holds the data keys as well and the master key of that
// time is there. See Checkpoint about what is left on the disk.
func (s *Store) EraseKeys(ctx context.Context, tenant string, audit integration.AuditEntry) (erased integration.Erasure, err error) {
	err = s.do(ctx, func(t *transaction) error {
		erased = integration.Erasure{}
		for _, step := range []struct {
			count     *int
			statement string
		}{
			{&erased.Credentials, "DELETE FROM credentials WHERE connection_id IN (SELECT id FROM connections WHERE tenant_id = $1)"},
			{new(int), "DELETE FROM refresh_intents WHERE connection_id IN (SELECT id FROM connections WHERE tenant_id = $1)"},
			{&erased.Flows, "DELETE FROM oauth_states WHERE tenant_id = $1"},
			{new(int), "DELETE FROM subscriptions WHERE tenant_id = $1"},
			{new(int), "DELETE FROM cursors WHERE substr(id, strpos(id, '/') + 1) IN (SELECT id FROM connections WHERE tenant_id = $1)"},
			{&erased.Connections, "DELETE FROM connections WHERE tenant_id = $1"},
		} {
			n, err := t.exec(step.statement, tenant)
			if err != nil {
				return err
			}
			*step.count = int(n)
		}
		if err := eraseJobs(t, tenant); err != nil {
			return err
		}
		err := t.query(func(r rowScanner) error {
			var id, master string
			err := r.Scan(&id, &master)
			erased.DataKeys, erased.Masters = append(erased.DataKeys, id), append(erased.Masters, master)
			return err
		}, "DELETE FROM tenant_keys WHERE tenant_id = $1 RETURNING id, master", tenant)
		if err != nil {
			return err
		}
		if err := noteErased(t, tenant, audit.At); err != nil {
			return err
		}
		return insertAudit(t, audit)
	})
	if err != nil {
		return integration.Erasure{}, fmt.Errorf("postgres: erasing the keys of a tenant: %w", err)
	}
	return erased, nil
}

// eraseJobs deletes jobs about one tenant. Their filters are searched as text:
// PostgreSQL does not read JSON with a NUL in it, and within a string the quotes
// would be escaped.
func eraseJobs(t *transaction, tenant string) error {
	name, err := json.Marshal(tenant)
	if err != nil {
		return fmt.Errorf("jobs: %w", err)
	}
	_, err = t.exec("DELETE FROM jobs WHERE strpos(filter, $1) > 0", `"Tenant":`+string(name))
	return err
}

// eraseEvents and eraseCalls delete some rows with what belongs to them, and
// count both.
const (
	eraseEvents = `WITH gone AS MATERIALIZED (SELECT seq, id FROM webhook_events WHERE tenant_id = $1 LIMIT $2 FOR UPDATE),
	told AS (DELETE FROM deliveries d USING gone WHERE d.event_id = gone.id RETURNING 1),
	events AS (DELETE FROM webhook_events e USING gone WHERE e.seq = gone.seq RETURNING 1)
SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM told)`

	eraseCalls = `WITH gone AS MATERIALIZED (SELECT seq, id FROM calls WHERE tenant_id = $1 LIMIT $2 FOR UPDATE),
	tried AS (DELETE FROM attempts a USING gone WHERE a.call_id = gone.id RETURNING 1),
	made AS (DELETE FROM calls c USING gone WHERE c.seq = gone.seq RETURNING 1)
SELECT (SELECT count(*) FROM made), (SELECT count(*) FROM tried)`

	eraseUses = "DELETE FROM credential_uses WHERE seq IN (SELECT seq FROM credential_uses WHERE tenant_id = $1 LIMIT $2)"
)

// EraseRecords deletes up to most of each kind of a tenant's records: events
// with their deliveries, calls with their attempts, uses of credentials. More
// says that there are more. A batch is one transaction, so that others get
// their turn between two.
func (s *Store) EraseRecords(ctx context.Context, tenant string, most int) (erased integration.Erasure, more bool, err error) {
	err = s.do(ctx, func(t *transaction) error {
		erased = integration.Erasure{}
		t.changed = true
		if err := t.query(func(r rowScanner) error { return r.Scan(&erased.Events, &erased.Deliveries) }, eraseEvents, tenant, most); err != nil {
			return err
		}
		if err := t.query(func(r rowScanner) error { return r.Scan(&erased.Calls, &erased.Attempts) }, eraseCalls, tenant, most); err != nil {
			return err
		}
		n, err := t.exec(eraseUses, tenant, most)
		erased.Uses = int(n)
		return err
	})
	if err != nil {
		return integration.Erasure{}, false, fmt.Errorf("postgres: erasing the records of a tenant: %w", err)
	}
	return erased, erased.Events == most || erased.Calls == most || erased.Uses == most, nil
}

// Checkpoint has PostgreSQL take deleted rows out of the pages of the tables that
// tenants have records in (VACUUM), so that no query and no dump finds them. What
// their place held before is not overwritten, and the write-ahead log and its
// archive keep it until they are recycled: only the erased keys make it
// unreadable there.
func (s *Store) Checkpoint(ctx context.Context) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.inHand.Done()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("postgres: no connection: %w", err)
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, "SET statement_timeout = 0"); err != nil { // it takes as long as the tables are large
		return fmt.Errorf("postgres: checkpoint: %w", err)
	}
	_, err = conn.Exec(ctx, "VACUUM webhook_events, deliveries, calls, attempts, credentials, connections, oauth_states, tenant_keys, refresh_intents, credential_uses, subscriptions, cursors")
	if _, again := conn.Exec(context.WithoutCancel(ctx), "RESET statement_timeout"); again != nil && err == nil {
		err = again
	}
	if err != nil {
		return fmt.Errorf("postgres: checkpoint: %w", err)
	}
	return nil
}
