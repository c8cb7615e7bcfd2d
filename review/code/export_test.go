package code

import (
	"errors"
	"fmt"
	"regexp"
)

// CompileAll compiles every expression of the rule file, which a scan does only
// where it needs one.
func CompileAll() error {
	l := leakRules()
	var bad []error
	try := func(where string, texts ...string) {
		for _, text := range texts {
			if _, err := regexp.Compile(text); err != nil {
				bad = append(bad, fmt.Errorf("%s: %w", where, err))
			}
		}
	}
	try("global", append(l.Global.Paths, l.Global.Regexes...)...)
	for _, r := range l.Rules {
		try(r.ID, r.Regex, r.Path)
		for _, a := range r.Allowlists {
			try(r.ID, append(a.Paths, a.Regexes...)...)
		}
	}
	return errors.Join(bad...)
}
