package sqlite

import (
	"context"
	"fmt"

	"github.com/sallyport/sallyport/integration"
)

// EraseKeys deletes a tenant's data keys, what is sealed with them, and jobs
// about it alone, in one transaction: from then on nobody can open what a copy
// still holds, unless it holds the data keys as well and the master key of that
// time is there. What is
// deleted is overwritten in the file.
func (s *Store) EraseKeys(ctx context.Context, tenant string, audit integration.AuditEntry) (erased integration.Erasure, err error) {
	err = s.writer.do(ctx, s.writer.jobs, func(t *transaction) error {
		erased = integration.Erasure{}
		return overwriting(t, func() error {
			for _, step := range []struct {
				count     *int
				statement string
			}{
				{&erased.Credentials, "DELETE FROM credentials WHERE connection_id IN (SELECT id FROM connections WHERE tenant_id = ?)"},
				{new(int), "DELETE FROM refresh_intents WHERE connection_id IN (SELECT id FROM connections WHERE tenant_id = ?)"},
				{&erased.Flows, "DELETE FROM oauth_states WHERE tenant_id = ?"},
				{new(int), "DELETE FROM subscriptions WHERE tenant_id = ?"},
				{new(int), "DELETE FROM cursors WHERE substr(id, instr(id, '/') + 1) IN (SELECT id FROM connections WHERE tenant_id = ?)"},
				{new(int), "DELETE FROM jobs WHERE json_extract(filter, '$.Tenant') = ?"},
				{&erased.Connections, "DELETE FROM connections WHERE tenant_id = ?"},
			} {
				n, err := t.exec(step.statement, tenant)
				if err != nil {
					return err
				}
				*step.count = int(n)
			}
			err := t.query(func(r rowScanner) error {
				var id, master string
				err := r.Scan(&id, &master)
				erased.DataKeys, erased.Masters = append(erased.DataKeys, id), append(erased.Masters, master)
				return err
			}, "DELETE FROM tenant_keys WHERE tenant_id = ? RETURNING id, master", tenant)
			if err != nil {
				return err
			}
			if err := noteErased(t, tenant, audit.At); err != nil {
				return err
			}
			return insertAudit(t, audit)
		})
	})
	if err != nil {
		return integration.Erasure{}, fmt.Errorf("sqlite: erasing the keys of a tenant: %w", err)
	}
	return erased, nil
}

// EraseRecords deletes up to most of each kind of a tenant's records: events
// with their deliveries, calls with their attempts, uses of credentials. More
// says that there are more. A batch is one transaction, so that others get
// their turn between two.
func (s *Store) EraseRecords(ctx context.Context, tenant string, most int) (erased integration.Erasure, more bool, err error) {
	err = s.writer.do(ctx, s.writer.jobs, func(t *transaction) error {
		erased = integration.Erasure{}
		return overwriting(t, func() error {
			for _, step := range []struct {
				count     *int
				statement string
			}{
				{&erased.Deliveries, "DELETE FROM deliveries WHERE event_id IN (SELECT id FROM webhook_events WHERE tenant_id = ?1 ORDER BY seq LIMIT ?2)"},
				{&erased.Events, "DELETE FROM webhook_events WHERE seq IN (SELECT seq FROM webhook_events WHERE tenant_id = ?1 ORDER BY seq LIMIT ?2)"},
				{&erased.Attempts, "DELETE FROM attempts WHERE call_id IN (SELECT id FROM calls WHERE tenant_id = ?1 ORDER BY seq LIMIT ?2)"},
				{&erased.Calls, "DELETE FROM calls WHERE seq IN (SELECT seq FROM calls WHERE tenant_id = ?1 ORDER BY seq LIMIT ?2)"},
				{&erased.Uses, "DELETE FROM credential_uses WHERE seq IN (SELECT seq FROM credential_uses WHERE tenant_id = ?1 LIMIT ?2)"},
			} {
				n, err := t.exec(step.statement, tenant, most)
				if err != nil {
					return err
				}
				*step.count = int(n)
			}
			return nil
		})
	})
	if err != nil {
		return integration.Erasure{}, false, fmt.Errorf("sqlite: erasing the records of a tenant: %w", err)
	}
	return erased, erased.Events == most || erased.Calls == most || erased.Uses == most, nil
}

// overwriting has what f deletes overwritten in the file instead of only
// unlinked.
func overwriting(t *transaction, f func() error) error {
	if err := t.run("PRAGMA secure_delete = ON"); err != nil {
		return err
	}
	defer func() { _ = t.run("PRAGMA secure_delete = OFF") }() // on is only slower
	return f()
}

// Checkpoint copies the write-ahead log into the file and cuts it off, so that
// no deleted text is left in it. Readers and writers of the moment may keep a
// part of it; that part goes with the next checkpoint.
func (s *Store) Checkpoint(ctx context.Context) error {
	db, err := connect(s.path, s.options, false)
	if err != nil {
		return err
	}
	defer db.Close()
	var busy, pages, copied int
	if err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &copied); err != nil {
		return fmt.Errorf("sqlite: checkpoint: %w", err)
	}
	return nil
}
