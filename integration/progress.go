package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ProgressState is where an event stands with one of its destinations.
type ProgressState string

// The states of an event with one destination of several.
const (
	ProgressWaiting   ProgressState = "waiting"   // it will be handed over
	ProgressSucceeded ProgressState = "succeeded" // the destination has it
	ProgressFailed    ProgressState = "failed"    // given up; a retry by hand begins anew
	ProgressParked    ProgressState = "parked"    // a person paused the destination
)

// Progress is where an event stands with each of its destinations, by name; nil
// where it has only one, whose state is the event's own.
type Progress map[string]DestinationProgress

// DestinationProgress is where an event stands with one destination.
type DestinationProgress struct {
	State    ProgressState `json:"state"`
	Attempts int           `json:"attempts,omitempty"` // how many times it was tried
	// RetriedAfter is the event's as it was at the last attempt: where the
	// event's is another by now, a person has asked for it again.
	RetriedAfter int       `json:"retried_after,omitempty"`
	Before       int       `json:"before,omitempty"` // of the attempts, how many the schedule does not count
	DueAt        time.Time `json:"due,omitzero"`     // when it is tried next; only while waiting
	Error        string    `json:"error,omitempty"`  // why the last attempt failed, free of secrets
}

// Text is how a store writes progress down; empty for none.
func (p Progress) Text() (string, error) {
	if len(p) == 0 {
		return "", nil
	}
	text, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("progress of an event: %w", err)
	}
	return string(text), nil
}

// Outstanding are the destinations that the event has still to go to, sorted.
func (p Progress) Outstanding() []string {
	var names []string
	for name, one := range p {
		if one.State == ProgressWaiting || one.State == ProgressParked {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// BehindText is how a store writes down the destinations that an event is behind
// at, and ParseBehind reads it; empty for none.
func BehindText(destinations []string) string { return strings.Join(destinations, "\n") }

// ParseBehind reads what BehindText wrote.
func ParseBehind(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// ParseProgress reads what Text wrote.
func ParseProgress(text string) (Progress, error) {
	if text == "" {
		return nil, nil
	}
	var p Progress
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, fmt.Errorf("stored progress of an event: %w", err)
	}
	return p, nil
}

// DestinationName is how a destination of a service's plan is called where
// those of several services stand beside each other.
func DestinationName(service, name string) string { return service + "/" + name }

// ParkedFor is how an event says that it waits for destinations (service/name),
// and ParkedNames reads it.
func ParkedFor(destinations ...string) string { return strings.Join(destinations, "\n") }

// ParkedNames are the destinations, service/name, that ParkedFor was told; none
// of an empty text.
func ParkedNames(parked string) []string {
	if parked == "" {
		return nil
	}
	return strings.Split(parked, "\n")
}

// Parked is how many events wait for the same paused destinations.
type Parked struct {
	For    string // see ParkedFor
	Events int
}

// PausedDestination is a destination that a person paused.
type PausedDestination struct {
	Service string
	Name    string
	At      time.Time
	Actor   string // who did it, as in the audit log
}
