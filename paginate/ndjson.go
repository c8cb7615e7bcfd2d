package paginate

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
)

// ContentType of what NDJSON writes.
const ContentType = "application/x-ndjson"

// NDJSON writes the items of a list, one a line, and sends each page on its way
// before the next one is asked for. lines is how many it wrote.
//
// When the walk fails before anything was written, nothing is, and the error is
// for the caller to answer with. When it fails later, a last line says so:
// {"error":…,"next":"CURSOR"}, where error is what explain makes of it, a problem
// document, and next is where From can take the list up again. The error is
// returned in that case too, as is one of w, after which nothing more is asked for.
// A nil explain tells only that the list is incomplete.
func NDJSON(w io.Writer, pages iter.Seq2[*Page, error], explain func(error) any) (lines int64, err error) {
	var buf bytes.Buffer
	for page, err := range pages {
		buf.Reset()
		if err != nil {
			if lines == 0 {
				return 0, err
			}
			last, broken := errorLine(err, explain)
			if broken != nil {
				return lines, errors.Join(err, broken)
			}
			if _, broken := w.Write(last); broken != nil {
				return lines, errors.Join(err, broken)
			}
			return lines + 1, errors.Join(err, flush(w))
		}
		for _, item := range page.Items {
			if err := json.Compact(&buf, item); err != nil { // an item may stand on several lines
				return lines, err
			}
			buf.WriteByte('\n')
		}
		if buf.Len() == 0 {
			continue
		}
		if _, err := w.Write(buf.Bytes()); err != nil {
			return lines, err
		}
		lines += int64(len(page.Items))
		if err := flush(w); err != nil {
			return lines, err
		}
	}
	return lines, nil
}

// errorLine is the last line of a list that is not whole.
func errorLine(err error, explain func(error) any) ([]byte, error) {
	line := struct {
		Error any    `json:"error"`
		Next  string `json:"next,omitempty"`
	}{Error: map[string]string{"code": "list_incomplete", "detail": "The list could not be read to its end."}}
	if explain != nil {
		line.Error = explain(err)
	}
	var e *Error
	if errors.As(err, &e) {
		line.Next = e.Cursor
	}
	b, err := json.Marshal(line)
	return append(b, '\n'), err
}

// flush sends what was written, where w holds it back.
func flush(w io.Writer) error {
	switch f := w.(type) {
	case http.ResponseWriter:
		if err := http.NewResponseController(f).Flush(); !errors.Is(err, http.ErrNotSupported) {
			return err
		}
	case interface{ Flush() error }:
		return f.Flush()
	case http.Flusher:
		f.Flush()
	}
	return nil
}
