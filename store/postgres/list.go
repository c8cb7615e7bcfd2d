package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport/sallyport/integration"
)

// Sizes of a page.
const (
	pageUsual = 50
	pageMost  = 500
)

// where gathers conditions; all must hold. In a condition "?" stands for an
// argument.
type where struct {
	conditions []string
	args       []any
}

func (w *where) add(condition string, args ...any) {
	for i := range args {
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(w.args)+i+1), 1)
	}
	w.conditions = append(w.conditions, condition)
	w.args = append(w.args, args...)
}

func (w *where) equal(column, value string) {
	if value != "" {
		w.add(column+" = ?", value)
	}
}

// partMost is the longest text looked for; nothing is found for a longer one.
const partMost = 1000

// contains looks for part of one of the columns, ASCII letters in either case:
// ILIKE goes by the collation of the column, which is "C".
func (w *where) contains(part string, columns ...string) {
	switch {
	case part == "":
		return
	case len(part) > partMost:
		w.add("FALSE")
		return
	}
	pattern := "%" + strings.NewReplacer(`\`, `\\`, "%", `\%`, "_", `\_`).Replace(part) + "%"
	either := make([]string, len(columns))
	args := make([]any, len(columns))
	for i, c := range columns {
		either[i], args[i] = c+` ILIKE ? ESCAPE '\'`, pattern
	}
	w.add("("+strings.Join(either, " OR ")+")", args...)
}

// between takes since and leaves out until.
func (w *where) between(column string, since, until time.Time) {
	if !since.IsZero() {
		w.add(column+" >= ?", micros(since))
	}
	if !until.IsZero() {
		w.add(column+" < ?", micros(until))
	}
}

func (w *where) String() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// page says what a list is of.
type page struct {
	prefix  string // of its cursors, so that one list's cursor is not taken for another's
	table   string
	columns string // the first must be seq
	filter  integration.Filter
	where   where
}

func (p *page) query(limit int) string {
	return "SELECT " + p.columns + " FROM " + p.table + p.where.String() + " ORDER BY seq DESC LIMIT " + strconv.Itoa(limit)
}

// list reads one page, the youngest first.
func list[T any](ctx context.Context, s *Store, p page, scan func(rowScanner) (int64, T, error)) (items []T, next string, err error) {
	if p.filter.Cursor != "" {
		seq, err := p.parseCursor()
		if err != nil {
			return nil, "", err
		}
		p.where.add("seq < ?", seq)
	}
	limit := p.filter.Limit
	if limit <= 0 {
		limit = pageUsual
	}
	limit = min(limit, pageMost)
	rows, err := s.query(ctx, p.query(limit+1), p.where.args...)
	if err != nil {
		return nil, "", fmt.Errorf("postgres: list of %s: %w", p.table, err)
	}
	var last int64
	err = each(rows, func(r rowScanner) error {
		seq, item, err := scan(r)
		if len(items) == limit {
			next = p.prefix + strconv.FormatInt(last, 36)
			return err
		}
		last = seq
		items = append(items, item)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("postgres: list of %s: %w", p.table, err)
	}
	return items, next, nil
}

func (p *page) parseCursor() (int64, error) {
	digits, ok := strings.CutPrefix(p.filter.Cursor, p.prefix)
	seq, err := strconv.ParseInt(digits, 36, 64)
	if !ok || err != nil || seq < 0 {
		return 0, fmt.Errorf("%w: start again without one", integration.ErrCursor)
	}
	return seq, nil
}
