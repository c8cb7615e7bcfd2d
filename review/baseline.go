package review

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Baseline are the failures of a day that are let pass from then on, so that a
// review can be introduced where there is much to mend: only what is new fails.
type Baseline struct {
	Version  int            `json:"version"` // 1
	Findings []BaselineLine `json:"findings"`
}

// BaselineLine is one failure. What stands beside Fingerprint is for people who
// read the file; only Fingerprint is compared.
type BaselineLine struct {
	Fingerprint string `json:"fingerprint"`
	Rule        string `json:"rule"`
	File        string `json:"file,omitempty"`
	Message     string `json:"message,omitempty"`
	// Count is how many failures share the fingerprint: the same line twice in
	// a file. One more than that is new.
	Count int `json:"count"`
}

// maxBaseline is the size of the largest baseline that is read; 100,000
// findings are about 20 MB.
const maxBaseline = 64 << 20

// Fingerprint is a short hash of what a failure is about. Nothing that moves
// belongs into it: no line numbers, no dates.
func Fingerprint(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:10])
}

// Baseline is the failures of this result that nothing lets pass, in a stable
// order.
func (r *Result) Baseline() Baseline {
	at := map[string]int{}
	b := Baseline{Version: 1, Findings: []BaselineLine{}}
	for _, f := range r.Findings {
		if f.Outcome != Fail || f.Suppressed != nil && f.Suppressed.Kind == "inSource" {
			continue
		}
		if i, ok := at[f.Fingerprint]; ok {
			b.Findings[i].Count++
			continue
		}
		at[f.Fingerprint] = len(b.Findings)
		b.Findings = append(b.Findings, BaselineLine{Fingerprint: f.Fingerprint, Rule: f.Rule, File: f.File, Message: f.Message, Count: 1})
	}
	slices.SortStableFunc(b.Findings, func(x, y BaselineLine) int {
		return strings.Compare(x.File+"\x00"+x.Rule+"\x00"+x.Fingerprint, y.File+"\x00"+y.Rule+"\x00"+y.Fingerprint)
	})
	return b
}

// Write writes the baseline as JSON, one that ReadBaseline reads.
func (b Baseline) Write(w io.Writer) error { return indented(w, b) }

// ReadBaseline reads a baseline file, strictly.
func ReadBaseline(r io.Reader) (Baseline, error) {
	var b Baseline
	data, err := io.ReadAll(io.LimitReader(r, maxBaseline+1))
	if err != nil {
		return b, err
	}
	if len(data) > maxBaseline {
		return b, fmt.Errorf("the baseline is larger than %d MB", maxBaseline>>20)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&b); err != nil {
		return Baseline{}, fmt.Errorf("this is no baseline; write a new one with --write-baseline: %w", err)
	}
	if b.Version != 1 {
		return Baseline{}, fmt.Errorf("the baseline has version %d; this program reads 1: write a new one with --write-baseline", b.Version)
	}
	if d.More() {
		return Baseline{}, errors.New("something follows the baseline; write a new one with --write-baseline")
	}
	return b, nil
}

// Accept lets failures pass that the baseline holds. It returns how many of its
// lines fit nothing any more: what was mended since.
func (r *Result) Accept(b Baseline) (mended int) {
	left := map[string]int{}
	for _, line := range b.Findings {
		left[line.Fingerprint] += max(line.Count, 1)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.Outcome != Fail || f.Suppressed != nil || left[f.Fingerprint] == 0 {
			continue
		}
		left[f.Fingerprint]--
		f.Suppressed = &Suppression{Kind: "external", Reason: "in the baseline"}
	}
	for _, n := range left {
		if n > 0 {
			mended++
		}
	}
	return mended
}
