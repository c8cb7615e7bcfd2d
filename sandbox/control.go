package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/sallyport/sallyport/plan"
)

// controlPrefix is where the stand-in itself is talked to. No provider has such
// a path.
const controlPrefix = "/_sandbox/"

// emission is the body of POST /_sandbox/events: EmitOptions in JSON.
type emission struct {
	Type      string         `json:"type"`
	ID        string         `json:"id"`
	Object    map[string]any `json:"object"`
	Age       plan.Duration  `json:"age"`
	SignedAgo plan.Duration  `json:"signed_ago"`
	Duplicate bool           `json:"duplicate"`
	Forged    bool           `json:"forged"`
	Lost      bool           `json:"lost"`
}

func (s *Sandbox) newControl() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+controlPrefix+"events", s.controlEmit)
	mux.HandleFunc("GET "+controlPrefix+"requests", func(w http.ResponseWriter, _ *http.Request) { tell(w, http.StatusOK, s.Requests()) })
	mux.HandleFunc("GET "+controlPrefix+"faults", func(w http.ResponseWriter, _ *http.Request) { tell(w, http.StatusOK, s.faults.now()) })
	mux.HandleFunc("PUT "+controlPrefix+"faults", s.controlFaults)
	return mux
}

func (s *Sandbox) controlEmit(w http.ResponseWriter, r *http.Request) {
	var e emission
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(&e); err != nil {
		complain(w, fmt.Errorf("the body must be an event to send, such as {\"type\": \"invoice.paid\"}: %w", err))
		return
	}
	result, err := s.Emit(r.Context(), e.Type, EmitOptions{
		ID: e.ID, Object: e.Object, Duplicate: e.Duplicate, Forged: e.Forged, Lost: e.Lost,
		Age: e.Age.Or(0), SignedAgo: e.SignedAgo.Or(0),
	})
	if err != nil {
		complain(w, err)
		return
	}
	tell(w, http.StatusOK, result)
}

func (s *Sandbox) controlFaults(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFaultFile))
	if err != nil {
		complain(w, errors.New("the body is too large or broken"))
		return
	}
	list, err := ParseFaults("faults", data)
	if err == nil {
		err = s.SetFaults(list)
	}
	if err != nil {
		complain(w, err)
		return
	}
	tell(w, http.StatusOK, s.faults.now())
}

// SetFaults replaces the faults in force; counting begins anew. Nothing changes
// when one of them is wrong.
func (s *Sandbox) SetFaults(list []Fault) error { return s.faults.set(s, list) }

func tell(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	_ = e.Encode(v) // the caller may be gone
}

func complain(w http.ResponseWriter, err error) {
	tell(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
}
