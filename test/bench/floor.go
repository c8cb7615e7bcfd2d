package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the same driver as the product
)

// serveFloor runs one of the limits: a server that does less than Sallyport
// and so can't be slower for a good reason. "verify" checks the signature and
// answers; "group" also stores the event with group commit.
func serveFloor(ctx context.Context, mode, listen, file string) error {
	var keep func(id string, body []byte) error
	switch mode {
	case "verify":
	case "group":
		if strings.Contains(file, "://") {
			g, err := openPostgresGroup(ctx, file)
			if err != nil {
				return err
			}
			keep = g.put
			break
		}
		g, err := openGroup(ctx, file)
		if err != nil {
			return err
		}
		keep = g.put
	default:
		return fmt.Errorf("no such limit: %q", mode)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", listen)
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, max(r.ContentLength, 0))
		if _, err := io.ReadFull(r.Body, body); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if !signed(r.Header.Get("Stripe-Signature"), body) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if keep != nil {
			id, _, _ := strings.Cut(string(body[len(eventHead):len(eventHead)+40]), `"`)
			if err := keep(id, body); err != nil {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
		}
		w.WriteHeader(http.StatusOK)
	})}
	context.AfterFunc(ctx, func() { server.Close() })
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

var macs = sync.Pool{New: func() any { return hmac.New(sha256.New, []byte(secret)) }}

func signed(header string, body []byte) bool {
	at, signature, _ := strings.Cut(header, ",v1=")
	at = strings.TrimPrefix(at, "t=")
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute {
		return false
	}
	want, err := hex.DecodeString(signature)
	if err != nil {
		return false
	}
	mac := macs.Get().(interface {
		io.Writer
		Reset()
		Sum([]byte) []byte
	})
	defer macs.Put(mac)
	mac.Reset()
	io.WriteString(mac, at)
	mac.Write([]byte{'.'})
	mac.Write(body)
	var sum [sha256.Size]byte
	return hmac.Equal(mac.Sum(sum[:0]), want)
}

// group is group commit and nothing else: one table, one index.
type group struct {
	db    *sql.DB
	one   *sql.Stmt
	many  *sql.Stmt
	queue chan *waiting
}

type waiting struct {
	id   string
	body []byte
	done chan error
}

const groupMany = 32

func openGroup(ctx context.Context, file string) (*group, error) {
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `create table events(seq integer primary key, id text not null unique, received integer not null, body blob not null)`); err != nil {
		return nil, err
	}
	g := &group{db: db, queue: make(chan *waiting, 4096)}
	values := func(n int) string {
		return `insert into events(id,received,body) values ` + strings.TrimSuffix(strings.Repeat("(?,?,?),", n), ",") + ` on conflict do nothing`
	}
	if g.one, err = db.PrepareContext(ctx, values(1)); err != nil {
		return nil, err
	}
	if g.many, err = db.PrepareContext(ctx, values(groupMany)); err != nil {
		return nil, err
	}
	go g.commit(ctx)
	return g, nil
}

func (g *group) put(id string, body []byte) error {
	w := &waiting{id: id, body: bytes.Clone(body), done: make(chan error, 1)}
	g.queue <- w
	return <-w.done
}

func (g *group) commit(ctx context.Context) {
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
		err := g.insert(ctx, batch)
		for _, w := range batch {
			w.done <- err
		}
	}
}

func (g *group) insert(ctx context.Context, batch []*waiting) error {
	tx, err := g.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	now := time.Now().UnixMilli()
	for len(batch) > 0 {
		n, statement := 1, g.one
		if len(batch) >= groupMany {
			n, statement = groupMany, g.many
		}
		args := make([]any, 0, 3*n)
		for _, w := range batch[:n] {
			args = append(args, w.id, now, w.body)
		}
		if _, err := tx.StmtContext(ctx, statement).ExecContext(ctx, args...); err != nil { //nolint:sqlclosecheck // closed with tx
			return err
		}
		batch = batch[n:]
	}
	return tx.Commit()
}
