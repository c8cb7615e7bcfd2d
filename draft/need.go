package draft

import (
	"regexp"
	"strings"
)

var listItem = regexp.MustCompile(`^\s*([-*+•]|\(?[0-9]{1,3}[.)])\s+`)

// ReadNeed makes one need of a file of them: a paragraph, or a list with one
// need an item. Headings and comments (#) are left out.
func ReadNeed(text string) string {
	var items []string
	begins := true // of an item: a new list item, or text after an empty line
	for _, l := range strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		trimmed := strings.TrimSpace(l)
		mark := listItem.FindString(l)
		switch {
		case trimmed == "" || strings.HasPrefix(trimmed, "#"):
			begins = true
			continue
		case mark != "":
			trimmed = strings.TrimSpace(l[len(mark):])
			begins = true
		}
		trimmed = strings.Join(strings.Fields(trimmed), " ")
		if begins || len(items) == 0 {
			items = append(items, trimmed)
		} else {
			items[len(items)-1] += " " + trimmed
		}
		begins = false
	}
	var out strings.Builder
	for i, item := range items {
		if i > 0 {
			out.WriteByte(' ')
		}
		out.WriteString(item)
		if i < len(items)-1 && !strings.ContainsAny(item[max(0, len(item)-1):], ".;!?:") {
			out.WriteByte(';')
		}
	}
	return out.String()
}
