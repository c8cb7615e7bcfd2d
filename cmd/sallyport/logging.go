package main

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/sallyport/sallyport/config"
)

// newLogger makes the log of serve: lines for people at a terminal, JSON
// elsewhere. flush waits until all of it is written.
func newLogger(ui *terminal, c config.Config) (log *slog.Logger, flush func()) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "text" || (c.LogFormat == "auto" && ui.isTTY) {
		return slog.New(slog.NewTextHandler(ui.rawErr, options)), func() {}
	}
	out := newLogFile(ui.rawErr)
	return slog.New(milliseconds{slog.NewJSONHandler(out, options)}), out.flush
}

// milliseconds says the unit of a duration, which JSON would lose: took becomes
// took_ms.
type milliseconds struct{ slog.Handler }

// Handle hands a record on with its durations told in milliseconds.
func (h milliseconds) Handle(ctx context.Context, r slog.Record) error {
	var room [16]slog.Attr
	attributes := room[:0]
	r.Attrs(func(a slog.Attr) bool {
		attributes = append(attributes, inMilliseconds(a))
		return true
	})
	told := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	told.AddAttrs(attributes...)
	return h.Handler.Handle(ctx, told)
}

// WithAttrs is the same for what stands on every line.
func (h milliseconds) WithAttrs(list []slog.Attr) slog.Handler {
	told := make([]slog.Attr, len(list))
	for i, a := range list {
		told[i] = inMilliseconds(a)
	}
	return milliseconds{h.Handler.WithAttrs(told)}
}

// WithGroup puts what follows into a group.
func (h milliseconds) WithGroup(name string) slog.Handler {
	return milliseconds{h.Handler.WithGroup(name)}
}

func inMilliseconds(a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindDuration:
		return slog.Float64(a.Key+"_ms", float64(a.Value.Duration().Round(time.Microsecond))/float64(time.Millisecond))
	case slog.KindGroup:
		list := a.Value.Group()
		told := make([]any, len(list))
		for i, member := range list {
			told[i] = inMilliseconds(member)
		}
		return slog.Group(a.Key, told...)
	default:
		return a
	}
}

// mostWaiting is how many bytes of lines may wait to be written. Whoever has more
// to say waits: no line is left out.
const mostWaiting = 1 << 20

// logFile is a file whose writers don't wait for it: what is said while a write is
// under way is written by the next, all at once. A line waits for no clock, so
// that a killed process takes those with it that came during its last write, and
// no others.
type logFile struct {
	out io.Writer

	mu      sync.Mutex
	changed sync.Cond // waiting, or writing, has changed
	waiting []byte
	writing bool
	spare   []byte
}

func newLogFile(out io.Writer) *logFile {
	l := &logFile{out: out}
	l.changed.L = &l.mu
	return l
}

// Write takes lines. Those that can't be written are lost, as those of every log
// are whose disk is full.
func (l *logFile) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) > mostWaiting {
		l.changed.Wait()
	}
	l.waiting = append(l.waiting, p...)
	if !l.writing {
		l.writing = true
		go l.write()
	}
	return len(p), nil
}

// write writes until nothing waits.
func (l *logFile) write() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.waiting) > 0 {
		now := l.waiting
		l.waiting, l.spare = l.spare[:0], nil
		l.changed.Broadcast()
		l.mu.Unlock()
		_, _ = l.out.Write(now) // nobody to tell: this is the log
		l.mu.Lock()
		if cap(now) <= 2*mostWaiting {
			l.spare = now
		}
	}
	l.writing = false
	l.changed.Broadcast()
}

// flush waits until all that was taken is written.
func (l *logFile) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.writing {
		l.changed.Wait()
	}
}
