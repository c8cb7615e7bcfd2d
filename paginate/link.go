package paginate

import (
	"strings"
)

// Link is one link of a Link header (RFC 8288).
type Link struct {
	URL    string            // as written; may be relative
	Rel    []string          // in lower case
	Params map[string]string // the other parameters, names in lower case; the first of a name counts
}

// maxLinks bounds how many links of a message are read.
const maxLinks = 100

// ParseLinks reads the Link lines of a message. A link that can't be read ends its
// line; those before it count (RFC 8288, appendix B.2, reads as forgivingly).
// Links with an anchor are about something else than the message and are left out
// (section 3.2).
func ParseLinks(lines []string) []Link {
	var out []Link
	for _, line := range lines {
		for len(out) < maxLinks {
			line = strings.TrimLeft(line, " \t,")
			if !strings.HasPrefix(line, "<") {
				break
			}
			end := strings.IndexByte(line, '>')
			if end < 0 {
				break
			}
			l := Link{URL: strings.TrimSpace(line[1:end]), Params: map[string]string{}}
			var ok, anchored bool
			l.Rel, anchored, line, ok = l.read(line[end+1:])
			if !ok {
				break
			}
			if !anchored {
				out = append(out, l)
			}
		}
	}
	return out
}

// read takes the parameters after a link's target. ok is false when what follows
// is no parameter and no next link.
func (l Link) read(s string) (rel []string, anchored bool, rest string, ok bool) {
	for {
		s = strings.TrimLeft(s, " \t")
		if s == "" || s[0] == ',' {
			return rel, anchored, s, true
		}
		if s[0] != ';' {
			return nil, false, "", false
		}
		var name, value string
		name, value, s = nextParam(strings.TrimLeft(s[1:], " \t"))
		switch name {
		case "":
		case "rel":
			if rel == nil { // a second one is ignored (section 3.3)
				rel = strings.Fields(strings.ToLower(value))
			}
		case "anchor":
			anchored = true
		default:
			if _, twice := l.Params[name]; !twice {
				l.Params[name] = value
			}
		}
	}
}

// nextParam cuts name[=token|="quoted"] off s.
func nextParam(s string) (name, value, rest string) {
	end := strings.IndexAny(s, "=;, \t")
	if end < 0 {
		return strings.ToLower(s), "", ""
	}
	name, s = strings.ToLower(s[:end]), strings.TrimLeft(s[end:], " \t")
	if !strings.HasPrefix(s, "=") {
		return name, "", s
	}
	s = strings.TrimLeft(s[1:], " \t")
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, ";, \t")
		if end < 0 {
			return name, s, ""
		}
		return name, s[:end], s[end:]
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return name, b.String(), s[i+1:]
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return name, b.String(), "" // the quote is never closed
}

// nextLink is the target of the first link to the next page. Sentry links to a
// next page in any case and says by results="false" that it is empty.
func nextLink(lines []string) string {
	for _, l := range ParseLinks(lines) {
		for _, rel := range l.Rel {
			if rel == "next" && l.Params["results"] != "false" {
				return l.URL
			}
		}
	}
	return ""
}
