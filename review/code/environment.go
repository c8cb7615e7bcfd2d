package code

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/review"
)

// isEnvironment reports whether a file is one of those that hold the secrets of
// an environment, and not the sample of one.
func isEnvironment(name string) bool {
	base := strings.ToLower(path.Base(name))
	if base != ".env" && base != ".envrc" && !strings.HasPrefix(base, ".env.") {
		return false
	}
	for _, sample := range []string{"example", "sample", "template", "dist", "defaults"} {
		if strings.HasSuffix(base, "."+sample) || strings.Contains(base, "."+sample+".") {
			return false
		}
	}
	return true
}

// environment looks for files of secrets that are kept with the code. Where it
// is not known what is kept, a file with values is a question.
func (s *scan) environment() {
	for _, name := range s.tree.files {
		if !isEnvironment(name) || s.tree.git && !s.tree.tracked[name] || isTest(name) {
			continue
		}
		text, ok := read(filepath.Join(s.options.Dir, filepath.FromSlash(name)))
		if !ok {
			continue
		}
		keys, line := valued(string(text))
		if len(keys) == 0 {
			continue
		}
		outcome, message := review.Fail, "%s holds values for %s"
		if !s.tree.git {
			outcome, message = review.Unknown, "%s holds values for %s; without git nobody can say whether it is kept with the code"
		}
		more := ""
		if len(keys) > 3 {
			more = fmt.Sprintf(" and %d more", len(keys)-3)
			keys = keys[:3]
		}
		f := review.NewFinding("R2.1", outcome, fmt.Sprintf(message, path.Base(name), strings.Join(keys, ", ")+more))
		f.File, f.Line, f.Column = s.path(name), line, 1
		if outcome == review.Fail {
			f.Fingerprint = review.Fingerprint("R2.1", name)
		}
		s.report.Findings = append(s.report.Findings, f)
	}
}

// secretive are words in the names of variables that hold secrets.
var secretive = []string{"KEY", "SECRET", "TOKEN", "PASSWORD", "PASSWD", "PASS", "CREDENTIAL", "DSN", "DATABASE_URL", "PRIVATE"}

// valued are the variables of an environment file that look like secrets and
// have a value, and the line of the first.
func valued(text string) (keys []string, first int) {
	n := 0
	for line := range strings.Lines(text) {
		n++
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		name = strings.ToUpper(strings.TrimSpace(name))
		value = strings.Trim(strings.TrimSpace(value), `"'`)
		if !ok || strings.HasPrefix(name, "#") || value == "" || strings.HasPrefix(value, "$") || placeholder(value) {
			continue
		}
		for _, word := range secretive {
			if strings.Contains(name, word) && !strings.Contains(name, "PUBLIC") {
				keys = append(keys, name)
				if first == 0 {
					first = n
				}
				break
			}
		}
	}
	return keys, first
}

// placeholder reports whether a value stands for one that is to be filled in.
func placeholder(value string) bool {
	value = strings.ToLower(value)
	for _, word := range []string{"changeme", "change_me", "change-me", "your", "xxx", "todo", "example", "placeholder", "<", "..."} {
		if strings.Contains(value, word) {
			return true
		}
	}
	return strings.HasPrefix(value, "env:") || strings.HasPrefix(value, "file:") || strings.HasPrefix(value, "op://")
}
