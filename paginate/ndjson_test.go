package paginate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/paginate"
)

// pages is a sequence of pages, then an error if there is one.
func pages(err error, items ...[]string) iter.Seq2[*paginate.Page, error] {
	return func(yield func(*paginate.Page, error) bool) {
		for i, page := range items {
			p := &paginate.Page{Number: i + 1}
			for _, item := range page {
				p.Items = append(p.Items, json.RawMessage(item))
			}
			if !yield(p, nil) {
				return
			}
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// R4.15: one item a line.
func TestNDJSON(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	n, err := paginate.NDJSON(w, pages(nil, []string{"{\n \"a\": 1.50,\n \"b\": \"x\\ny\"}", "null"}, nil, []string{"[1,\t2]"}), nil)
	if err != nil || n != 3 || w.Body.String() != "{\"a\":1.50,\"b\":\"x\\ny\"}\nnull\n[1,2]\n" || !w.Flushed {
		t.Errorf("%d, %v: %s", n, err, w.Body)
	}
}

func TestNDJSONSaysThatItIsNotWhole(t *testing.T) {
	t.Parallel()
	cause := errors.New("weather")
	failed := &paginate.Error{Page: 2, Cursor: "c2", Err: cause}
	explain := func(err error) any {
		if !errors.Is(err, cause) {
			t.Errorf("explain was given %v", err)
		}
		return map[string]any{"code": "provider_unavailable", "status": 503}
	}
	var b bytes.Buffer
	n, err := paginate.NDJSON(&b, pages(failed, []string{"1"}), explain)
	if n != 2 || !errors.Is(err, cause) || b.String() != `1`+"\n"+`{"error":{"code":"provider_unavailable","status":503},"next":"c2"}`+"\n" {
		t.Errorf("%d, %v: %s", n, err, &b)
	}

	b.Reset()
	if _, err = paginate.NDJSON(&b, pages(failed, []string{"1"}), nil); err == nil || !strings.Contains(b.String(), "list_incomplete") || strings.Contains(b.String(), "weather") {
		t.Errorf("%v: %s", err, &b)
	}

	// Nothing written yet: the caller still has the status to say it with.
	w := httptest.NewRecorder()
	n, err = paginate.NDJSON(w, pages(failed, nil, nil), explain)
	if n != 0 || !errors.Is(err, cause) || w.Body.Len() != 0 || w.Flushed {
		t.Errorf("%d, %v: %s", n, err, w.Body)
	}
}

type full struct {
	http.ResponseWriter
	after int
}

func (f *full) Write(b []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, errors.New("connection reset")
	}
	return f.ResponseWriter.Write(b)
}

func (f *full) Unwrap() http.ResponseWriter { return f.ResponseWriter }

// Who reads is gone: no further page is asked for.
func TestNDJSONStopsWithItsReader(t *testing.T) {
	t.Parallel()
	asked := 0
	seq := func(yield func(*paginate.Page, error) bool) {
		for range 5 {
			asked++
			if !yield(&paginate.Page{Items: []json.RawMessage{[]byte("1")}}, nil) {
				return
			}
		}
	}
	n, err := paginate.NDJSON(&full{httptest.NewRecorder(), 1}, seq, nil)
	if n != 1 || err == nil || asked != 2 {
		t.Errorf("%d lines, %d pages, %v", n, asked, err)
	}
}

// A page is on its way before the next one is asked for.
func TestNDJSONFlushesEachPage(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	seq := func(yield func(*paginate.Page, error) bool) {
		for i := range 3 {
			if got := strings.Count(w.Body.String(), "\n"); got != i || w.Flushed != (i > 0) {
				t.Errorf("before page %d: %d lines, flushed %t", i+1, got, w.Flushed)
			}
			yield(&paginate.Page{Items: []json.RawMessage{[]byte("1")}}, nil)
		}
	}
	if _, err := paginate.NDJSON(w, seq, nil); err != nil {
		t.Fatal(err)
	}
}
