package sandbox

import (
	"maps"
	"regexp"

	"github.com/sallyport/sallyport/catalog"
)

// likely are values that the patterns of profiles are after.
var likely = []string{
	"acme", "1234567", "acme.example.com", "acme.my.salesforce.com", "eu.docusign.net", "0a1b2c3d-0000-4000-8000-00000000000f",
	"0123456789abcdef0123456789abcdef",
}

// withExamples adds a value for each variable that has none.
func withExamples(variables map[string]catalog.Variable, values map[string]string) map[string]string {
	all := make(map[string]string, len(variables))
	for name, v := range variables {
		all[name] = exampleOf(v)
	}
	maps.Copy(all, values)
	return all
}

// exampleOf is a value that fits a variable, as far as one is known.
func exampleOf(v catalog.Variable) string {
	switch {
	case v.Example != "":
		return v.Example
	case len(v.Values) > 0:
		return v.Values[0]
	}
	pattern, err := regexp.Compile("^(?:" + v.Pattern + ")$")
	if err != nil || v.Pattern == "" {
		return likely[0]
	}
	for _, value := range likely {
		if pattern.MatchString(value) {
			return value
		}
	}
	return likely[0]
}
