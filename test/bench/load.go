package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// loadResult is what one round of load saw.
type loadResult struct {
	PerSecond float64
	P50, P99  time.Duration
	Failed    int    // answers other than 2xx, and errors
	Failure   string // the first of them
	Answered  int
}

// load posts events over connections for warm + length and measures the second
// part. With rate > 0 events are offered at that rate and latency counts from
// the time each was due, so that a stall is not hidden. The target must be a
// loopback address.
func load(ctx context.Context, address, path string, connections int, rate float64, warm, length time.Duration) (loadResult, error) {
	if host, _, err := net.SplitHostPort(address); err != nil || !net.ParseIP(host).IsLoopback() {
		return loadResult{}, fmt.Errorf("%s is no loopback address", address)
	}
	begin := time.Now()
	from, until := begin.Add(warm), begin.Add(warm+length)
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	var (
		sequence atomic.Uint64
		mu       sync.Mutex
		all      []time.Duration
		result   loadResult
		workers  sync.WaitGroup
		run      = uint32(begin.UnixNano() >> 20)
	)
	for range connections {
		workers.Go(func() {
			var took []time.Duration
			failed, failure := 0, ""
			c := &connection{address: address}
			defer c.close()
			s := newSigner(address, path, run)
			for ctx.Err() == nil {
				n := sequence.Add(1)
				due := time.Now()
				if rate > 0 {
					due = begin.Add(time.Duration(float64(n) / rate * float64(time.Second)))
					if !waitUntil(ctx, due) {
						break
					}
				}
				status, err := c.do(s.request(n, time.Now()))
				if ctx.Err() != nil {
					break
				}
				switch {
				case err != nil:
					failed, failure = failed+1, err.Error()
				case status < 200 || status > 299:
					failed, failure = failed+1, fmt.Sprintf("status %d", status)
				case due.After(from):
					took = append(took, time.Since(due))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			result.Failed += failed
			if result.Failure == "" {
				result.Failure = failure
			}
		})
	}
	workers.Wait()
	slices.Sort(all)
	result.Answered = len(all)
	result.PerSecond = float64(len(all)) / length.Seconds()
	if len(all) > 0 {
		result.P50, result.P99 = all[len(all)/2], all[len(all)*99/100]
	}
	return result, nil
}

func waitUntil(ctx context.Context, t time.Time) bool {
	wait := time.Until(t)
	if wait <= 0 {
		return true
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// connection is the cheapest HTTP/1.1 client the load can afford.
type connection struct {
	address string
	conn    net.Conn
	r       *bufio.Reader
}

func (c *connection) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// do writes one request and reads one answer, dropping its body.
func (c *connection) do(request []byte) (status int, err error) {
	if c.conn == nil {
		dialer := net.Dialer{Timeout: 5 * time.Second}
		if c.conn, err = dialer.Dial("tcp", c.address); err != nil { //nolint:noctx // bounded by its own time-out
			return 0, err
		}
		c.r = bufio.NewReaderSize(c.conn, 4096)
	}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if err = c.conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return 0, err
	}
	if _, err = c.conn.Write(request); err != nil {
		return 0, err
	}
	answer, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if _, err = io.Copy(io.Discard, answer.Body); err != nil {
		return 0, err
	}
	if strings.EqualFold(answer.Header.Get("Connection"), "close") {
		c.close()
	}
	return answer.StatusCode, nil
}
