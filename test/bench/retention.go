package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// retentionSample is the door of a gateway with many old events, with or without
// their deletion.
type retentionSample struct {
	sample
	setting  string
	deleting bool
	Emptied  float64 // payloads emptied and events deleted a second, while it ran
}

// oldEvents is how many events had their time when a round begins: more than go
// within it. Half of them are due to be deleted whole.
const oldEvents = 120_000

// seedOld stores events of the last year without the way through the door, and
// has the announcement of the first deletion behind it.
const seedOld = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
INSERT INTO webhook_events (id, tenant_id, provider, source, event_type, external_id, subject, status, received_at, created_at, processed_at, headers, payload)
SELECT printf('0001-%09d', i), 'acme', 'stripe', '', 'invoice.paid', printf('old_%09d', i), printf('in_%d', i), 'processed',
	?2 - CASE WHEN i % 2 THEN 40 ELSE 200 END * 86400000000 + i, 0, 0, '{"Content-Type":["application/json"]}', randomblob(2000) FROM n`

// measureRetention measures the door on one database, with retention on and off
// by turns. The database is made once and copied for each round.
func measureRetention(ctx context.Context, binary string, rounds int, length time.Duration) ([]retentionSample, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sallyport-bench-*")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	seeded := filepath.Join(dir, "bench.db")
	if err := seedDatabase(ctx, binary, dir, seeded); err != nil {
		return nil, err
	}
	var out []retentionSample
	for _, s := range []setting{settings[0], settings[len(settings)-1]} {
		for round := range rounds {
			for _, deleting := range []bool{round%2 == 0, round%2 != 0} {
				fmt.Fprintf(os.Stderr, "deletion %-5t %-16s round %d/%d\n", deleting, s.name, round+1, rounds)
				one, err := retentionRound(ctx, binary, seeded, s, deleting, length)
				if err != nil {
					return nil, fmt.Errorf("retention, %s: %w", s.name, err)
				}
				out = append(out, one)
			}
		}
	}
	return out, nil
}

// seedDatabase has the product make its tables, and fills them.
func seedDatabase(ctx context.Context, binary, dir, file string) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	g, err := startGateway(ctx, binary, benchPlan, dir)
	if err != nil {
		return err
	}
	if err := g.stop(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		return err
	}
	now := time.Now().UnixMicro()
	for _, statement := range []struct {
		text string
		args []any
	}{
		{seedOld, []any{oldEvents, now}},
		{"DELETE FROM housekeeping", nil},
		{"INSERT INTO housekeeping (one, begins_at, lease_owner, lease_until) VALUES (1, ?, '', 0)", []any{now - 1}},
		{"PRAGMA wal_checkpoint(TRUNCATE)", nil},
	} {
		if _, err := db.ExecContext(ctx, statement.text, statement.args...); err != nil {
			return errors.Join(fmt.Errorf("old events: %w", err), db.Close())
		}
	}
	return db.Close()
}

func retentionRound(ctx context.Context, binary, seeded string, s setting, deleting bool, length time.Duration) (retentionSample, error) {
	out := retentionSample{setting: s.name, deleting: deleting}
	file := ""
	one := side{name: "sallyport serve", path: "/api/webhooks/stripe", start: func(ctx context.Context, dir string) (*exec.Cmd, error) {
		file = filepath.Join(dir, "bench.db")
		if err := copyFile(file, seeded); err != nil {
			return nil, err
		}
		cmd, err := gatewayOn(ctx, binary, benchPlan, dir, "sqlite:"+file)
		if err == nil && !deleting {
			cmd.Args = append(cmd.Args, "--retention", "off")
		}
		return cmd, err
	}, after: func() (err error) {
		out.Emptied, err = gone(ctx, file, length*5/4)
		return err
	}}
	var err error
	out.sample, err = measureRound(ctx, one, s, length)
	return out, err
}

// gone is how many payloads and events went a second.
func gone(ctx context.Context, file string, within time.Duration) (perSecond float64, err error) {
	db, err := sql.Open("sqlite", "file:"+file+"?mode=ro")
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var whole, left int
	err = db.QueryRowContext(ctx, "SELECT count(*) FILTER (WHERE kept < 2), count(*) FROM webhook_events WHERE external_id LIKE 'old\\_%' ESCAPE '\\'").Scan(&whole, &left)
	return float64(oldEvents-whole+oldEvents-left) / within.Seconds(), err
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

// retentionReport is the part about deletion.
func retentionReport(samples []retentionSample) string {
	var b strings.Builder
	fmt.Fprintf(&b, `### While old events are deleted

A database on SQLite with %d events of 2 kB that had their time: half are to be emptied, half to be deleted. The same load with
%[2]s--retention=on%[2]s and %[2]soff%[2]s; a copy of the same file for each round.

| load | deletion | events/s | p50 ms | p99 ms | CPU-s per 10,000 | emptied or deleted/s |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
`, oldEvents, "`")
	for _, s := range []setting{settings[0], settings[len(settings)-1]} {
		for _, deleting := range []bool{false, true} {
			var some []retentionSample
			for _, one := range samples {
				if one.setting == s.name && one.deleting == deleting {
					some = append(some, one)
				}
			}
			fmt.Fprintf(&b, "| %s | %s | %.0f | %.2f | %.2f | %.2f | %.0f |\n", s.name, map[bool]string{true: "on", false: "off"}[deleting],
				median(some, func(x retentionSample) float64 { return x.PerSecond }),
				median(some, func(x retentionSample) float64 { return float64(x.P50) / 1e6 }),
				median(some, func(x retentionSample) float64 { return float64(x.P99) / 1e6 }),
				median(some, func(x retentionSample) float64 { return x.CPU }),
				median(some, func(x retentionSample) float64 { return x.Emptied }))
		}
	}
	b.WriteString("\n")
	return b.String()
}
