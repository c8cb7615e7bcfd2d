package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

// What holds unless the DSN says otherwise.
const (
	poolMost    = 16
	dialTimeout = 5 * time.Second
	cancelWait  = time.Second // for the server to end what was given up
)

// parse reads a DSN. The server is told the bounds as well, so that what a
// client gave up, or a client that died, holds no row for long.
func parse(dsn string, o Options) (*pgxpool.Config, error) {
	if strings.TrimSpace(dsn) == "" {
		return nil, errors.New("postgres: name a database, such as postgres://user@host:5432/sallyport")
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("postgres: the DSN can't be read; write postgres://USER:PASSWORD@HOST:PORT/DATABASE: %w", withoutDSN(err))
	}
	if !strings.Contains(dsn, "pool_max_conns") {
		config.MaxConns = poolMost
	}
	if least := int32(o.Committers + 2); config.MaxConns < least {
		return nil, fmt.Errorf("postgres: pool_max_conns=%d is too few: %d committers need %d", config.MaxConns, o.Committers, least)
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = dialTimeout
	}
	ms := strconv.FormatInt(o.Timeout.Milliseconds(), 10)
	for name, value := range map[string]string{
		"application_name":                    "sallyport",
		"statement_timeout":                   ms,
		"lock_timeout":                        strconv.FormatInt(max(o.Timeout.Milliseconds()/2, 1), 10),
		"idle_in_transaction_session_timeout": ms,
	} {
		if _, there := config.ConnConfig.RuntimeParams[name]; !there {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	// Who gives up a query has the server end it, and keeps the connection.
	config.ConnConfig.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: cancelWait}
	}
	return config, nil
}

// withoutDSN is the reason alone: the DSN may hold a password.
func withoutDSN(err error) error {
	var p *pgconn.ParseConfigError
	if errors.As(err, &p) {
		if cause := p.Unwrap(); cause != nil {
			return cause
		}
		return errors.New("it is malformed")
	}
	return err
}

// reachAgain is how long is waited between two tries to reach a server that is
// starting.
const reachAgain = 100 * time.Millisecond

// reach waits for a server that says it is starting up; every other refusal is
// final.
func reach(ctx context.Context, pool *pgxpool.Pool, within time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, within, errSlow)
	defer cancel()
	for {
		err := pool.Ping(ctx)
		var p *pgconn.PgError
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("postgres: %w: %w", context.Cause(ctx), err)
		case !errors.As(err, &p) || p.Code != codeStarting:
			return fmt.Errorf("postgres: %w", err)
		}
		select {
		case <-time.After(reachAgain):
		case <-ctx.Done():
		}
	}
}
