package catalog

import (
	"fmt"
	"strings"
)

var waitUnits = []string{
	"duration", "epoch_milliseconds", "epoch_seconds", "http_date", "iso8601", "milliseconds", "minutes", "seconds",
}

// errors judges the dialect of errors (R4.9).
func (l *linter) errors(e *Errors) {
	l.bodyPath("errors.code_path", e.CodePath, true)
	l.bodyPath("errors.message_path", e.MessagePath, true)
	l.bodyPath("errors.request_id_path", e.RequestIDPath, true)
	l.bodyPaths("errors.code_also", e.CodePath, e.CodeAlso)
	l.bodyPaths("errors.message_also", e.MessagePath, e.MessageAlso)
	l.header("errors.code_header", e.CodeHeader, true)
	l.header("errors.message_header", e.MessageHeader, true)
	l.header("errors.request_id_header", e.RequestIDHeader, true)
	for i, name := range e.RequestIDAlso {
		l.header(fmt.Sprintf("errors.request_id_also[%d]", i), name, false)
	}
	l.signal("errors.in_success", e.InSuccess)
	for i := range e.Meanings {
		l.meaning(fmt.Sprintf("errors.meanings[%d]", i), e, &e.Meanings[i])
	}
	for i := range e.Waits {
		l.wait(fmt.Sprintf("errors.waits[%d]", i), &e.Waits[i])
	}
	l.notNegative("errors.limit_wait_s", e.LimitWait)
}

func (l *linter) meaning(path string, e *Errors, rule *MeaningRule) {
	if rule.Status == 0 && len(rule.Codes) == 0 && rule.Header == "" && rule.Body == nil {
		l.add(path, "rule", "a rule needs a status, codes, a header or a body")
	}
	if rule.Status != 0 {
		l.status(path+".status", rule.Status)
	}
	if len(rule.Codes) > 0 && e.CodePath == "" && e.CodeHeader == "" {
		l.add(path+".codes", "rule", "without code_path or code_header no answer has a code")
	}
	name, _, _ := strings.Cut(rule.Header, "=")
	l.header(path+".header", name, true)
	l.signal(path+".body", rule.Body)
	l.oneOf(path+".class", rule.Class, classes)
}

func (l *linter) wait(path string, w *WaitRule) {
	if w.Header == "" && w.Path == "" {
		l.add(path, "rule", "say where the wait stands: a header, a path into the body, or both for JSON in a header")
	}
	l.header(path+".header", w.Header, true)
	l.bodyPath(path+".path", w.Path, true)
	l.oneOf(path+".unit", w.Unit, waitUnits)
	if w.Key != "" && w.After != "" {
		l.add(path+".key", "rule", "key and after exclude each other")
	}
}

func (l *linter) signal(path string, s *BodySignal) {
	if s == nil {
		return
	}
	l.oneSignal(path, s)
	for i := range s.Or {
		place := fmt.Sprintf("%s.or[%d]", path, i)
		l.oneSignal(place, &s.Or[i])
		if len(s.Or[i].Or) > 0 {
			l.add(place+".or", "signal", "one level is enough; write these beside it")
		}
	}
}

func (l *linter) oneSignal(path string, s *BodySignal) {
	l.bodyPath(path+".path", s.Path, false)
	l.bodyPath(path+".unless", s.Unless, true)
	given := 0
	for _, set := range []bool{len(s.Values) > 0, s.Contains != "", len(s.Except) > 0, s.Exists} {
		if set {
			given++
		}
	}
	if given != 1 {
		l.add(path, "signal", "give one of values, contains, except and exists, not %d", given)
	}
}

func (l *linter) bodyPaths(path, first string, also []string) {
	if first == "" && len(also) > 0 {
		l.add(path, "required", "the first path belongs into %s_path", strings.TrimSuffix(strings.TrimPrefix(path, "errors."), "_also"))
	}
	for i, p := range also {
		l.bodyPath(fmt.Sprintf("%s[%d]", path, i), p, false)
	}
}

// bodyPath keeps to one way of writing: indices between dots, one path a value.
func (l *linter) bodyPath(path, value string, optional bool) {
	switch {
	case value == "" && optional:
	case value == "":
		l.add(path, "required", "say where in the body it stands")
	case strings.ContainsAny(value, "[]| "):
		l.add(path, "path", "%q: write indices between dots (errors.0.code), a dot in a name as \\., and another place to look at as an entry of its own", value)
	}
}
