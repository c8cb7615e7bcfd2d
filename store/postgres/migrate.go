package postgres

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the advisory lock under which one instance makes the tables
// while the others wait: the first eight letters of the name as a number.
const migrationLock = 0x73616c6c79706f72

// migrate brings the tables up to date, over connections of its own: a change to
// a large table may take longer than an operation may.
func migrate(ctx context.Context, config *pgx.ConnConfig) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return fmt.Errorf("postgres: migrations: %w", err)
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(migrationLock), lock.WithLockTimeout(1, 60), lock.WithUnlockTimeout(1, 10))
	if err != nil {
		return fmt.Errorf("postgres: migrations: %w", err)
	}
	config = config.Copy()
	delete(config.RuntimeParams, "statement_timeout")
	delete(config.RuntimeParams, "idle_in_transaction_session_timeout")
	db := stdlib.OpenDB(*config)
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files, goose.WithDisableGlobalRegistry(true), goose.WithSessionLocker(locker))
	if err != nil {
		return fmt.Errorf("postgres: migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil { // under the lock, also where nothing is to be done
		return fmt.Errorf("postgres: bringing the tables up to date: %w", err)
	}
	has, knows, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("postgres: reading the version of the tables: %w", err)
	}
	if has > knows {
		return fmt.Errorf("postgres: the database has tables of version %d and this program knows up to %d: a newer version has used it; run that one, or restore a backup from before", has, knows)
	}
	return nil
}
