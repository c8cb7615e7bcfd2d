package problem_test

import (
	"encoding/json"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sallyport/sallyport/problem"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set(problem.RequestIDHeader, "req-1")
	problem.Write(w, &problem.Problem{Status: 503, Code: "store_busy", Detail: "busy \"now\"", RetryAfter: 1200 * time.Millisecond})
	if w.Code != 503 || w.Header().Get("Retry-After") != "2" || w.Header().Get("Content-Type") != problem.ContentType {
		t.Errorf("answer %d %v", w.Code, w.Header())
	}
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["type"] != "about:blank" || got["title"] != "Service Unavailable" || got["request_id"] != "req-1" || got["code"] != "store_busy" {
		t.Errorf("document %v", got)
	}
	if _, there := got["hint"]; there {
		t.Error("an empty hint is written")
	}
}
