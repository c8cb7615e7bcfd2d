package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Names of the sides on PostgreSQL.
const (
	groupOnPostgres     = "group commit on PostgreSQL, nothing else"
	sallyportOnPostgres = "sallyport serve on PostgreSQL"
)

// postgresSides are the sides that are measured when a PostgreSQL is named. Its
// database is emptied before each round. The server's own CPU is in nobody's
// figures.
func postgresSides(self, binary, dsn string) []side {
	return []side{
		{name: groupOnPostgres, path: "/in", limit: groupOnPostgres, start: func(ctx context.Context, _ string) (*exec.Cmd, error) {
			return exec.CommandContext(ctx, self, "-floor", "group", "-file", dsn), empty(ctx, dsn)
		}},
		{name: sallyportOnPostgres, path: "/api/webhooks/stripe", limit: groupOnPostgres, start: func(ctx context.Context, dir string) (*exec.Cmd, error) {
			if err := empty(ctx, dsn); err != nil {
				return nil, err
			}
			return gatewayOn(ctx, binary, benchPlan, dir, dsn)
		}},
	}
}

// empty leaves nothing in the database.
func empty(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("-postgres: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, statement := range []string{"DROP SCHEMA public CASCADE", "CREATE SCHEMA public", "CHECKPOINT"} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("-postgres: %s: %w", statement, err)
		}
	}
	return nil
}

// committersOfGroup is how many transactions of the limit run at once.
const committersOfGroup = 3

// postgresGroup is group commit on PostgreSQL and nothing else: one table, one
// key, one statement a commit.
type postgresGroup struct {
	pool  *pgxpool.Pool
	queue chan *waiting
}

func openPostgresGroup(ctx context.Context, dsn string) (*postgresGroup, error) {
	pool, err := pgxpool.New(ctx, dsn)
	if err != nil {
		return nil, err
	}
	if _, err := pool.Exec(ctx, "CREATE TABLE events (id text PRIMARY KEY, received bigint NOT NULL, body bytea NOT NULL)"); err != nil {
		return nil, err
	}
	g := &postgresGroup{pool: pool, queue: make(chan *waiting, 4096)}
	for range committersOfGroup {
		go g.commit(ctx)
	}
	return g, nil
}

func (g *postgresGroup) put(id string, body []byte) error {
	w := &waiting{id: id, body: bytes.Clone(body), done: make(chan error, 1)}
	g.queue <- w
	return <-w.done
}

func (g *postgresGroup) commit(ctx context.Context) {
	for {
		batch := []*waiting{<-g.queue}
	fill:
		for len(batch) < 512 {
			select {
			case w := <-g.queue:
				batch = append(batch, w)
			default:
				break fill
			}
		}
		ids, received, bodies := make([]string, len(batch)), make([]int64, len(batch)), make([][]byte, len(batch))
		now := time.Now().UnixMicro()
		for i, w := range batch {
			ids[i], received[i], bodies[i] = w.id, now, w.body
		}
		_, err := g.pool.Exec(ctx, "INSERT INTO events SELECT * FROM unnest($1::text[], $2::bigint[], $3::bytea[]) ON CONFLICT DO NOTHING", ids, received, bodies)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		for _, w := range batch {
			w.done <- err
		}
	}
}
