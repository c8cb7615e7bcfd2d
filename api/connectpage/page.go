// Package connectpage writes the pages that a tenant sees while connecting: the
// form for keys, and what came of it. They need no script and load nothing; what
// is filled in goes to the address of the page itself and nowhere else. They are
// written by hand and not by a template, which would keep every method in the
// binary.
package connectpage

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strings"
	"time"
)

//go:embed style.css
var style string

// policy lets a browser load nothing but the style above, send the form to
// where the page came from, and show the page in no frame.
var policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}()

// Field is one input of the form.
type Field struct {
	Name     string
	Label    string
	Hint     string   // what it is for example; may be empty
	Value    string   // what is in it at first; never that of a secret
	Secret   bool     // shown as dots
	Lines    bool     // has several lines
	Optional bool     // may be left empty
	Values   []string // to choose from; empty: anything
}

// Form is the page that asks.
type Form struct {
	Service  string
	Fields   []Field
	Problems []string // of what was sent before
	Leave    bool     // what follows is the provider's own page
}

// Result is the page that tells how it ended.
type Result struct {
	Title string
	Text  string
	// Next is where to go on; empty: nowhere. Label names it. The browser goes by
	// itself, unless Stay.
	Next, Label string
	Stay        bool
}

// Header sets what every page and every redirect of a flow carries: the address
// of a page is a secret while it works.
func Header(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Robots-Tag", "noindex")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
}

// WriteForm writes the page that asks.
func WriteForm(w http.ResponseWriter, status int, f Form) {
	var b bytes.Buffer
	begin(&b, "Connect "+f.Service, "")
	lead := "What you enter is tried at " + f.Service + " first, kept encrypted, and shown to nobody."
	if f.Leave {
		lead = "You go on to " + f.Service + " next, to allow the connection there."
	}
	fmt.Fprintf(&b, "<p>%s</p>\n", text(lead))
	if len(f.Problems) > 0 {
		b.WriteString("<div class=\"problem\" role=\"alert\"><p>That did not work:</p><ul>\n")
		for _, p := range f.Problems {
			fmt.Fprintf(&b, "<li>%s</li>\n", text(p))
		}
		b.WriteString("</ul></div>\n")
	}
	b.WriteString("<form method=\"post\" autocomplete=\"off\">\n")
	for i := range f.Fields {
		f.Fields[i].write(&b, i)
	}
	b.WriteString("<button type=\"submit\" name=\"do\" value=\"connect\">Connect</button>\n" +
		"<button type=\"submit\" name=\"do\" value=\"decline\" class=\"plain\" formnovalidate>Cancel</button>\n</form>\n")
	send(w, status, &b)
}

func (f *Field) write(b *bytes.Buffer, i int) {
	id := fmt.Sprintf("f%d", i)
	label := f.Label
	if f.Optional {
		label += " (may be left empty)"
	}
	fmt.Fprintf(b, "<label for=\"%s\">%s</label>\n", id, text(label))
	attributes := fmt.Sprintf(" id=\"%s\" name=\"%s\" autocapitalize=\"off\" spellcheck=\"false\"", id, text(f.Name))
	if !f.Optional {
		attributes += " required"
	}
	if f.Hint != "" {
		attributes += fmt.Sprintf(" aria-describedby=\"%s-hint\"", id)
	}
	switch {
	case len(f.Values) > 0:
		fmt.Fprintf(b, "<select%s>\n", strings.ReplaceAll(strings.ReplaceAll(attributes, " autocapitalize=\"off\"", ""), " spellcheck=\"false\"", ""))
		for _, v := range f.Values {
			chosen := ""
			if v == f.Value {
				chosen = " selected"
			}
			fmt.Fprintf(b, "<option%s>%s</option>\n", chosen, text(v))
		}
		b.WriteString("</select>\n")
	case f.Lines:
		fmt.Fprintf(b, "<textarea%s autocomplete=\"off\"></textarea>\n", attributes)
	case f.Secret:
		fmt.Fprintf(b, "<input type=\"password\"%s autocomplete=\"new-password\">\n", attributes)
	default:
		fmt.Fprintf(b, "<input type=\"text\"%s autocomplete=\"off\" value=\"%s\">\n", attributes, text(f.Value))
	}
	if f.Hint != "" {
		fmt.Fprintf(b, "<p class=\"hint\" id=\"%s-hint\">%s</p>\n", id, text(f.Hint))
	}
}

// Code is the page that shows a code to be confirmed at the provider.
type Code struct {
	Service string
	Code    string
	Address string // where to type it in, as people read it
	Link    string // where to go, perhaps with the code in it
	Until   time.Time
}

// WriteCode writes the page that shows a code. It does not load itself again:
// that would take a reader of the screen back to the top.
func WriteCode(w http.ResponseWriter, c Code) {
	var b bytes.Buffer
	begin(&b, "Connect "+c.Service, "")
	fmt.Fprintf(&b, "<p>Confirm this code at %s, on this device or another. It works until %s.</p>\n", text(c.Service), c.Until.UTC().Format("15:04 MST"))
	fmt.Fprintf(&b, "<p><strong class=\"code\">%s</strong></p>\n", text(c.Code))
	fmt.Fprintf(&b, "<p><a class=\"go\" rel=\"noreferrer noopener\" target=\"_blank\" href=\"%s\">Open %s (in a new tab)</a></p>\n", text(c.Link), text(c.Address))
	b.WriteString("<form method=\"get\"><button type=\"submit\">I have confirmed it</button></form>\n" +
		"<form method=\"post\"><button type=\"submit\" name=\"do\" value=\"decline\" class=\"plain\">Cancel</button></form>\n")
	send(w, http.StatusOK, &b)
}

// WriteResult writes the page that tells how it ended.
func WriteResult(w http.ResponseWriter, status int, r Result) {
	var b bytes.Buffer
	refresh := ""
	if r.Next != "" && !r.Stay {
		refresh = r.Next
	}
	begin(&b, r.Title, refresh)
	fmt.Fprintf(&b, "<p role=\"status\">%s</p>\n", text(r.Text))
	if r.Next != "" {
		fmt.Fprintf(&b, "<p><a class=\"go\" rel=\"noreferrer\" href=\"%s\">%s</a></p>\n", text(r.Next), text(r.Label))
	}
	send(w, status, &b)
}

func begin(b *bytes.Buffer, title, refresh string) {
	b.WriteString("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
	if refresh != "" {
		// The answer to a form may not redirect elsewhere under form-action.
		fmt.Fprintf(b, "<meta http-equiv=\"refresh\" content=\"0; url=%s\">\n", text(refresh))
	}
	fmt.Fprintf(b, "<title>%s</title>\n<style>%s</style>\n</head>\n<body>\n<main>\n<h1>%s</h1>\n", text(title), style, text(title))
}

func send(w http.ResponseWriter, status int, b *bytes.Buffer) {
	b.WriteString("</main>\n</body>\n</html>\n")
	Header(w.Header())
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // the browser went away; there is nobody to tell
}

// text is safe in an element and in a quoted attribute.
func text(s string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' || slices.Contains([]rune{0x7f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069}, r) {
			return -1
		}
		return r
	}, s))
}
