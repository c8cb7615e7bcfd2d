package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport/sallyport/config"
)

// slowFile takes one write at a time, each when it is let.
type slowFile struct {
	let chan struct{}
	mu  sync.Mutex
	got []string
}

func (f *slowFile) Write(p []byte) (int, error) {
	<-f.let
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got = append(f.got, string(p))
	return len(p), nil
}

// No line is lost, torn or out of a goroutine's order, however many write; those
// that come during a write go out together.
func TestLines(t *testing.T) {
	t.Parallel()
	f := &slowFile{let: make(chan struct{})}
	l := newLogFile(f)
	fmt.Fprintln(l, "first")
	f.let <- struct{}{} // it is being written
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			for i := range 100 {
				fmt.Fprintf(l, "%d %d\n", w, i)
			}
		})
	}
	writers.Wait() // nobody waited for the file
	go func() {
		for {
			f.let <- struct{}{}
		}
	}()
	l.flush()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.got) > 4 {
		t.Errorf("%d writes", len(f.got))
	}
	next := map[int]int{}
	lines := bufio.NewScanner(strings.NewReader(strings.Join(f.got, "")))
	lines.Scan()
	if lines.Text() != "first" {
		t.Errorf("the first line is %q", lines.Text())
	}
	for lines.Scan() {
		var w, i int
		if _, err := fmt.Sscanf(lines.Text(), "%d %d", &w, &i); err != nil || next[w] != i {
			t.Fatalf("%q: want line %d of writer %d: %v", lines.Text(), next[w], w, err)
		}
		next[w]++
	}
	for w := range 8 {
		if next[w] != 100 {
			t.Errorf("%d lines of writer %d", next[w], w)
		}
	}
}

// Who says more than may wait, waits for the file, and loses nothing.
func TestLinesAreBounded(t *testing.T) {
	t.Parallel()
	f := &slowFile{let: make(chan struct{})}
	l := newLogFile(f)
	chunk := bytes.Repeat([]byte("x"), mostWaiting)
	said := make(chan struct{})
	go func() {
		defer close(said)
		for range 4 {
			_, _ = l.Write(chunk)
		}
	}()
	for done := false; !done; {
		select {
		case f.let <- struct{}{}:
		case <-said:
			done = true
		}
	}
	go func() {
		for {
			f.let <- struct{}{}
		}
	}()
	l.flush()
	total := 0
	for _, p := range f.got {
		total += len(p)
		if len(p) > 2*mostWaiting {
			t.Errorf("%d bytes waited", len(p))
		}
	}
	if total != 4*mostWaiting {
		t.Errorf("%d bytes came", total)
	}
}

// Durations say their unit in JSON, on lines, in groups and on loggers.
func TestMilliseconds(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log, flush := newLogger(&terminal{rawErr: &out}, config.Config{LogFormat: "json", LogLevel: "info"})
	log.With("since", 2*time.Second).WithGroup("g").Info("x", "took", 1500*time.Microsecond, slog.Group("in", "wait", time.Minute), "n", 3)
	flush()
	var line struct {
		Since float64 `json:"since_ms"`
		G     struct {
			Took float64 `json:"took_ms"`
			N    int     `json:"n"`
			In   struct {
				Wait float64 `json:"wait_ms"`
			} `json:"in"`
		} `json:"g"`
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil || line.Since != 2000 || line.G.Took != 1.5 || line.G.N != 3 || line.G.In.Wait != 60000 {
		t.Errorf("%s: %v", out.String(), err)
	}
}

func BenchmarkLog(b *testing.B) {
	log, _ := newLogger(&terminal{rawErr: io.Discard}, config.Config{LogFormat: "json", LogLevel: "info"})
	b.ReportAllocs()
	for b.Loop() {
		log.LogAttrs(b.Context(), slog.LevelInfo, "event.received", slog.String("service", "stripe"), slog.String("verdict", "received"), slog.String("event", "0198b0a2-7a4b-7d1b-a30a-6e1c7a1b2c3d"),
			slog.String("external_id", "evt_1NG8Du2eZvKYlo2CUI79vXWy"), slog.String("type", "invoice.paid"), slog.String("tenant", ""), slog.Int("bytes", 2612), slog.Duration("took", 1234567))
	}
}
