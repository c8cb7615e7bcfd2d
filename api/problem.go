package api

import (
	"errors"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/problem"
)

// useProblems makes huma answer with our problem documents. The library keeps
// its constructor of errors in a variable of its package.
var useProblems = sync.OnceFunc(func() {
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		p := &problem.Problem{Status: status, Title: http.StatusText(status), Code: codeOf(status), Detail: message}
		for _, err := range errs {
			d := problem.Detail{Detail: err.Error()}
			var detailed huma.ErrorDetailer
			if errors.As(err, &detailed) {
				detail := detailed.ErrorDetail()
				d = problem.Detail{Pointer: pointerOf(detail.Location), Detail: detail.Message}
			}
			p.Errors = append(p.Errors, d)
		}
		return p
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		p, ok := huma.NewError(status, message, errs...).(*problem.Problem)
		if ok {
			p.RequestID = requestID(ctx.Context())
		}
		return p
	}
})

// codeOf is the stable code of an error that only has a status.
func codeOf(status int) string {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return "invalid_request"
	case http.StatusRequestEntityTooLarge:
		return "body_too_large"
	case http.StatusUnsupportedMediaType:
		return "unsupported_media_type"
	case http.StatusInternalServerError:
		return "internal"
	}
	return strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "_")
}

// pointerOf turns huma's "body.path.id" into a JSON pointer; other places
// (query.limit) stay as they are.
func pointerOf(location string) string {
	rest, ok := strings.CutPrefix(location, "body")
	if !ok {
		return location
	}
	return strings.ReplaceAll(strings.ReplaceAll(strings.ReplaceAll(rest, ".", "/"), "[", "/"), "]", "")
}

// failed turns an error of the store into an answer.
func (s *server) failed(err error, what string) error {
	switch {
	case errors.Is(err, integration.ErrNotFound):
		return &problem.Problem{Status: http.StatusNotFound, Code: "not_found", Detail: "there is no such " + what}
	case errors.Is(err, integration.ErrNotKept):
		return &problem.Problem{Status: http.StatusGone, Code: "not_kept", Detail: "what came in with the " + what + " is not kept any more, so it can't be processed again", Hint: "webhooks.retention and webhooks.redact of the plan say what is kept; the provider may still have it"}
	case errors.Is(err, integration.ErrState):
		return &problem.Problem{Status: http.StatusConflict, Code: "wrong_state", Detail: "the " + what + " is being worked on; try again when it has ended"}
	case errors.Is(err, integration.ErrCursor):
		return &problem.Problem{Status: http.StatusBadRequest, Code: "invalid_cursor", Detail: "the cursor is not one of ours", Hint: "take next from the page before, or leave cursor out"}
	}
	s.Log.Error("api.failed", "what", what, "error", err)
	return &problem.Problem{
		Status: http.StatusServiceUnavailable, Code: "store_unavailable", Detail: "the store can't be reached", RetryAfter: retrySoon,
		Hint: "see the gateway's log; nothing was changed",
	}
}

func unknownService(service string) *problem.Problem {
	return &problem.Problem{
		Status: http.StatusNotFound, Code: "unknown_service", Detail: "there is no plan for the service " + quoted(service),
		Hint: "GET /api/v1/integrations lists the services",
	}
}

func quoted(s string) string {
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:60], "") + "…"
	}
	return strconv.Quote(s)
}

// completeProblem fills in what every problem document carries, before huma
// writes it.
func completeProblem(ctx huma.Context, _ string, v any) (any, error) {
	p, ok := v.(*problem.Problem)
	if !ok {
		return v, nil
	}
	if p.RetryAfter > 0 {
		ctx.SetHeader("Retry-After", problem.Seconds(p.RetryAfter))
	}
	out := p.Complete(requestID(ctx.Context()))
	return &out, nil
}

// notFound answers 405 where the path is known under other methods, else 404.
func (s *server) notFound(mux *http.ServeMux) http.HandlerFunc {
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	return func(w http.ResponseWriter, r *http.Request) {
		var allowed []string
		for _, method := range methods {
			probe := &http.Request{Method: method, URL: r.URL, Host: r.Host}
			if _, pattern := mux.Handler(probe); pattern != "/" && pattern != "" {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) > 0 {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			problem.Write(w, &problem.Problem{
				Status: http.StatusMethodNotAllowed, Code: "method_not_allowed", Detail: quoted(r.Method) + " is not possible here",
				Hint: "use " + strings.Join(allowed, " or "),
			})
			return
		}
		problem.Write(w, &problem.Problem{
			Status: http.StatusNotFound, Code: "not_found", Detail: "nothing is served at " + quoted(r.URL.Path),
			Hint: "GET /openapi.json lists what is",
		})
	}
}

// answering knows whether an answer has begun, so that a panic can still be
// told where it has not.
type answering struct {
	http.ResponseWriter
	begun bool
}

// WriteHeader notes that an answer begins; 1xx are none yet.
func (a *answering) WriteHeader(status int) {
	a.begun = a.begun || status >= 200
	a.ResponseWriter.WriteHeader(status)
}

// Write notes that an answer has begun.
func (a *answering) Write(b []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController through.
func (a *answering) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// guarded turns a panic into a 500 that can be found in the log.
func (s *server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &answering{ResponseWriter: w}
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler { //nolint:errorlint // net/http compares it too
				panic(cause)
			}
			s.Log.Error("api.panicked", "request_id", requestID(r.Context()), "panic", cause, "stack", string(debug.Stack()))
			if a.begun {
				panic(http.ErrAbortHandler) // half an answer must not look whole
			}
			problem.Write(w, &problem.Problem{Status: http.StatusInternalServerError, Code: "internal", Detail: "the gateway failed", Hint: "search its log for the request id"})
		}()
		next.ServeHTTP(a, r)
	})
}

// newID is a UUIDv7: unique, and ordered by time.
func newID() string { return uuid.Must(uuid.NewV7()).String() }
