package openapi

import (
	"html"
	"strings"
)

// plain takes mark-up out of a description: HTML tags, entities, the targets of
// Markdown links, back-quotes; white space is folded. It never fails: what is
// no mark-up stays.
func plain(s string) string {
	if strings.IndexByte(s, '<') >= 0 {
		s = withoutTags(s)
	}
	if strings.IndexByte(s, '&') >= 0 {
		s = html.UnescapeString(s)
	}
	if strings.Contains(s, "](") {
		s = withoutLinks(s)
	}
	if strings.IndexByte(s, '`') >= 0 {
		s = strings.ReplaceAll(s, "`", "")
	}
	if strings.ContainsAny(s, "\n\t\r") || strings.Contains(s, "  ") {
		s = strings.Join(strings.Fields(s), " ")
	}
	return s
}

// withoutTags drops <…> where it begins like a tag; "a < b" stays. Paragraphs
// become spaces.
func withoutTags(s string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '<')
		if i < 0 || i+1 >= len(s) {
			break
		}
		c := s[i+1]
		if c != '/' && c != '!' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			b.WriteString(s[:i+1])
			s = s[i+1:]
			continue
		}
		end := strings.IndexByte(s[i:], '>')
		if end < 0 { // nor does any tag after it end
			break
		}
		b.WriteString(s[:i])
		if tag := strings.ToLower(s[i+1 : i+min(end, 3)]); strings.HasPrefix(tag, "/p") || strings.HasPrefix(tag, "br") || strings.HasPrefix(tag, "li") {
			b.WriteByte(' ')
		}
		s = s[i+end+1:]
	}
	b.WriteString(s)
	return strings.TrimSpace(b.String())
}

// withoutLinks turns [text](target) into text.
func withoutLinks(s string) string {
	var b strings.Builder
	for {
		mid := strings.Index(s, "](")
		if mid < 0 {
			break
		}
		end := strings.IndexByte(s[mid:], ')')
		if end < 0 { // nor does any link after it end
			break
		}
		start := strings.LastIndexByte(s[:mid], '[')
		if start < 0 {
			b.WriteString(s[:mid+2])
			s = s[mid+2:]
			continue
		}
		b.WriteString(s[:start])
		b.WriteString(s[start+1 : mid])
		s = s[mid+end+1:]
	}
	b.WriteString(s)
	return b.String()
}
