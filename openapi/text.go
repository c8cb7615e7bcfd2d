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
			b.WriteString(s)
			return strings.TrimSpace(b.String())
		}
		end := strings.IndexByte(s[i:], '>')
		if c := s[i+1]; end < 0 || (c != '/' && c != '!' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')) {
			b.WriteString(s[:i+1])
			s = s[i+1:]
			continue
		}
		b.WriteString(s[:i])
		if tag := strings.ToLower(s[i+1 : i+end]); strings.HasPrefix(tag, "/p") || strings.HasPrefix(tag, "br") || strings.HasPrefix(tag, "li") {
			b.WriteByte(' ')
		}
		s = s[i+end+1:]
	}
}

// withoutLinks turns [text](target) into text.
func withoutLinks(s string) string {
	var b strings.Builder
	for {
		mid := strings.Index(s, "](")
		if mid < 0 {
			b.WriteString(s)
			return b.String()
		}
		start := strings.LastIndexByte(s[:mid], '[')
		end := strings.IndexByte(s[mid:], ')')
		if start < 0 || end < 0 {
			b.WriteString(s[:mid+2])
			s = s[mid+2:]
			continue
		}
		b.WriteString(s[:start])
		b.WriteString(s[start+1 : mid])
		s = s[mid+end+1:]
	}
}
