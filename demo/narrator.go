package demo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"charm.land/lipgloss/v2"
)

var (
	good  = lipgloss.NewStyle().Foreground(lipgloss.Color("2"))
	bad   = lipgloss.NewStyle().Foreground(lipgloss.Color("1"))
	wait  = lipgloss.NewStyle().Foreground(lipgloss.Color("3"))
	faint = lipgloss.NewStyle().Faint(true)
	bold  = lipgloss.NewStyle().Bold(true)
	kinds = map[string]lipgloss.Style{
		"plan":    lipgloss.NewStyle().Foreground(lipgloss.Color("4")),
		"call":    lipgloss.NewStyle().Foreground(lipgloss.Color("6")),
		"webhook": lipgloss.NewStyle().Foreground(lipgloss.Color("5")),
		"deliver": lipgloss.NewStyle().Foreground(lipgloss.Color("13")),
		"app":     lipgloss.NewStyle().Foreground(lipgloss.Color("3")),
	}
)

// narrator prints what happens, a line each, in the order it happens. It is a
// slog.Handler as well: the gateway's own wide lines are what the demo shows,
// put into words.
type narrator struct {
	start time.Time
	attrs []slog.Attr
	out   *lockedWriter
	quiet *quiet
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

// quiet silences the lines of the steady traffic, which would bury the rest.
type quiet struct {
	mu sync.Mutex
	on bool
}

func (q *quiet) set(on bool) { q.mu.Lock(); q.on = on; q.mu.Unlock() }
func (q *quiet) get() bool   { q.mu.Lock(); defer q.mu.Unlock(); return q.on }

func newNarrator(w io.Writer) *narrator {
	return &narrator{start: time.Now(), out: &lockedWriter{w: w}, quiet: &quiet{}}
}

// raw prints text as it is.
func (n *narrator) raw(text string) {
	n.out.mu.Lock()
	defer n.out.mu.Unlock()
	fmt.Fprintln(n.out.w, text)
}

// say prints one line about a kind of thing.
func (n *narrator) say(kind, format string, args ...any) {
	at := faint.Render(fmt.Sprintf("%6.2fs", time.Since(n.start).Seconds()))
	n.raw(fmt.Sprintf("%s  %s  %s", at, kinds[kind].Render(fmt.Sprintf("%-7s", kind)), fmt.Sprintf(format, args...)))
}

// act begins a part of the story.
func (n *narrator) act(title string) { n.raw("\n" + bold.Render(title)) }

// Enabled implements slog.Handler.
func (n *narrator) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// WithAttrs implements slog.Handler.
func (n *narrator) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *n
	with.attrs = append(append([]slog.Attr(nil), n.attrs...), attrs...)
	return &with
}

// WithGroup implements slog.Handler; the gateway's lines have no groups.
func (n *narrator) WithGroup(string) slog.Handler { return n }

// Handle implements slog.Handler.
func (n *narrator) Handle(_ context.Context, r slog.Record) error {
	v := make(map[string]slog.Value)
	for _, a := range n.attrs {
		v[a.Key] = a.Value
	}
	r.Attrs(func(a slog.Attr) bool { v[a.Key] = a.Value.Resolve(); return true })
	if n.quiet.get() && r.Level < slog.LevelWarn {
		return nil
	}
	switch r.Message {
	case "call.attempted":
		n.attempt(v)
	case "event.received", "event.rejected", "event.not_kept":
		n.event(v)
	case "delivery.attempted":
		n.delivery(v)
	case "plan.not_enforced":
	default:
		n.say("app", "%s", faint.Render(r.Message+" "+rest(v)))
	}
	return nil
}

func (n *narrator) attempt(v map[string]slog.Value) {
	what := fmt.Sprintf("%s %s", v["method"], text(v, "endpoint", "(proxy)"))
	took := rounded(v["took"].Duration())
	status := "no answer"
	if s := v["status"].Int64(); s != 0 {
		status = fmt.Sprint(s)
	}
	switch {
	case v["class"].String() == "ok":
		n.say("call", "%s → %s in %s%s", what, good.Render(status), took, nth(v))
	case v["retry_in"].Kind() == slog.KindDuration:
		n.say("call", "%s → %s %s: again in %s%s", what, wait.Render(status), v["class"], rounded(v["retry_in"].Duration()), nth(v))
	default:
		n.say("call", "%s → %s %s %s%s", what, bad.Render(status), v["class"], text(v, "then", ""), nth(v))
	}
}

// rounded keeps what a person reads: milliseconds, or tenths of one.
func rounded(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}

func nth(v map[string]slog.Value) string {
	if a := v["attempt"].Int64(); a > 1 {
		return faint.Render(fmt.Sprintf("  attempt %d", a))
	}
	return ""
}

func (n *narrator) event(v map[string]slog.Value) {
	typ := text(v, "type", "a webhook")
	id := faint.Render(text(v, "external_id", ""))
	switch verdict := v["verdict"].String(); verdict {
	case "received":
		n.say("webhook", "%s %s %s, stored, then answered 200", typ, id, good.Render("signature good"))
	case "duplicate":
		n.say("webhook", "%s %s %s: answered 200, not stored again", typ, id, wait.Render("duplicate"))
	case "ignored":
		n.say("webhook", "%s %s", typ, faint.Render("not used by the plan: kept, not delivered"))
	case "mismatch":
		n.say("webhook", "%s: signed by someone else, answered 401, nothing kept", bad.Render("forged"))
	case "stale":
		n.say("webhook", "%s: signature outside the replay window, answered 401, nothing kept", bad.Render("replayed"))
	default:
		n.say("webhook", "%s %s", bad.Render(verdict), text(v, "error", ""))
	}
}

func (n *narrator) delivery(v map[string]slog.Value) {
	what := fmt.Sprintf("%s to %s", v["type"], v["destination"])
	switch v["state"].String() {
	case "succeeded":
		n.say("deliver", "%s → %s in %s%s", what, good.Render(fmt.Sprint(v["status"].Int64())), rounded(v["took"].Duration()), nth(v))
	case "retrying":
		n.say("deliver", "%s → %s: again in %s", what, wait.Render(fmt.Sprint(v["status"].Int64())), rounded(v["retry_in"].Duration()))
	default:
		n.say("deliver", "%s → %s: %s", what, bad.Render("failed"), text(v, "error", ""))
	}
}

func text(v map[string]slog.Value, key, otherwise string) string {
	if s, ok := v[key]; ok && s.String() != "" {
		return s.String()
	}
	return otherwise
}

func rest(v map[string]slog.Value) string {
	var parts []string
	for _, key := range []string{"service", "error", "row"} {
		if s := text(v, key, ""); s != "" {
			parts = append(parts, key+"="+s)
		}
	}
	return strings.Join(parts, " ")
}
