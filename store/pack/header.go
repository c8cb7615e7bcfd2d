package pack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/tidwall/gjson"
)

// Header is a header as JSON text, its names in order: {"Content-Type":["a"]}. A
// nil one is {}.
func Header(h http.Header) string {
	if len(h) == 0 {
		return "{}"
	}
	var room [16]string
	names := room[:0]
	size := 2
	for name, values := range h {
		names = append(names, name)
		size += len(name) + 6
		for _, v := range values {
			size += len(v) + 3
		}
	}
	slices.Sort(names)
	out := make([]byte, 0, size)
	for i, name := range names {
		out = append(out, "{,"[min(i, 1)])
		out = gjson.AppendJSONString(out, name)
		out = append(out, ":["...)
		for i, v := range h[name] {
			if i > 0 {
				out = append(out, ',')
			}
			out = gjson.AppendJSONString(out, v)
		}
		out = append(out, ']')
	}
	return string(append(out, '}'))
}

// ParseHeader reads what Header wrote.
func ParseHeader(text string) (http.Header, error) {
	if text == "" || text == "{}" {
		return nil, nil
	}
	var h http.Header
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return nil, fmt.Errorf("stored headers: %w", err)
	}
	return h, nil
}
