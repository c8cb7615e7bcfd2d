package diff

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// WriteJSON writes the report as one JSON document.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// WriteText writes it for a terminal: a finding in a few lines, the rest as
// counts. paint colours a word by its level; nil leaves it plain.
func (r *Report) WriteText(w io.Writer, paint func(Level, string) string) error {
	if paint == nil {
		paint = func(_ Level, s string) string { return s }
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s → %s\n", r.Service, side(r.Before), side(r.After))
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n%s %s%s\n", paint(f.Level, string(f.Level)), f.Row, place(f))
		fmt.Fprintf(&b, "  %s: %s%s\n", f.Where, f.Message, change(f))
		if f.Example != "" {
			fmt.Fprintf(&b, "  example  %s\n", f.Example)
		}
		if f.Fails != "" {
			fmt.Fprintf(&b, "  today    %s\n", f.Fails)
		}
		fmt.Fprintf(&b, "  fix      %s\n", f.Fix)
	}
	if len(r.Findings) > 0 {
		b.WriteByte('\n')
	}
	b.WriteString(r.sum() + "\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteMarkdown writes it for a change request.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: %s → %s\n\n%s\n", r.Service, side(r.Before), side(r.After), r.sum())
	if len(r.Findings) > 0 {
		b.WriteString("\n| | row | what changed | example | fix |\n| --- | --- | --- | --- | --- |\n")
	}
	for _, f := range r.Findings {
		example := ""
		if f.Example != "" {
			example = "`" + f.Example + "`"
		}
		if f.Fails != "" {
			example += " → " + f.Fails
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s | %s | %s |\n", f.Level, cell(f.Row), cell(f.Where+": "+f.Message+change(f)), cell(example), cell(f.Fix))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ", "\r", " ", "<", "&lt;").Replace(s)
}

func place(f Finding) string {
	if f.File == "" || f.Line == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s:%d)", f.File, f.Line)
}

func change(f Finding) string {
	switch {
	case f.Was != "" && f.Now != "":
		return fmt.Sprintf(" (%s → %s)", f.Was, f.Now)
	case f.Was != "":
		return fmt.Sprintf(" (was %s)", f.Was)
	case f.Now != "":
		return fmt.Sprintf(" (%s)", f.Now)
	}
	return ""
}

func side(s Side) string {
	return fmt.Sprintf("%s (%s)", s.Version, s.SHA256[:min(12, len(s.SHA256))])
}

func (r *Report) sum() string {
	breaks := 0
	for _, f := range r.Findings {
		if f.Level == Breaks {
			breaks++
		}
	}
	s := fmt.Sprintf("%s, %s, %s.", count(breaks, "finding breaks", "findings break"),
		count(len(r.Findings)-breaks, "changes something", "change something"), count(r.Held, "row holds", "rows hold"))
	if len(r.Unknown) > 0 {
		s += " " + count(len(r.Unknown), "row", "rows") + " the documents say nothing about: " + strings.Join(r.Unknown, ", ") + "."
	}
	return s + " " + count(r.Count(), "other place", "other places") + " of the document changed, which the plan does not use" +
		fmt.Sprintf(" (%d operations, %d schemas, %d event types).", r.Operations, r.Schemas, r.EventTypes)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
