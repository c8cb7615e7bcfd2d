package oauth

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/catalog"
)

var (
	braces = regexp.MustCompile(`\{([a-z][a-z0-9_]*)\}`)
	label  = regexp.MustCompile(`^[A-Za-z0-9-]+$`)
	// compiled keeps the profiles' patterns: pattern → *regexp.Regexp.
	compiled sync.Map
)

// longest is the most characters a variable may have; a DNS name has fewer.
const longest = 253

func names(template string) []string {
	var found []string
	for _, match := range braces.FindAllStringSubmatch(template, -1) {
		found = append(found, match[1])
	}
	return found
}

// Check says whether a value may stand for a variable: one of its Values, or
// the whole of it as Pattern says, or one DNS label where the profile gives no
// pattern. The value is not repeated in the error: people paste secrets.
func Check(name string, v catalog.Variable, value string) error {
	if len(value) > longest {
		return fmt.Errorf("{%s}: %d characters are too many; %d are allowed", name, len(value), longest)
	}
	if len(v.Values) > 0 {
		if slices.Contains(v.Values, value) {
			return nil
		}
		return fmt.Errorf("{%s} must be one of %s", name, strings.Join(v.Values, ", "))
	}
	pattern := label
	if v.Pattern != "" {
		kept, ok := compiled.Load(v.Pattern)
		if !ok {
			made, err := regexp.Compile(`\A(?:` + v.Pattern + `)\z`)
			if err != nil {
				return fmt.Errorf("{%s}: the profile's pattern can't be read: %w", name, err)
			}
			kept, _ = compiled.LoadOrStore(v.Pattern, made)
		}
		pattern = kept.(*regexp.Regexp)
	}
	if !pattern.MatchString(value) {
		hint := pattern.String()
		if v.Pattern != "" {
			hint = v.Pattern
		}
		if v.Example != "" {
			hint += ", for example " + v.Example
		}
		return fmt.Errorf("{%s} does not have the form it must have: %s", name, hint)
	}
	return nil
}

// CheckAll checks every value and refuses those that the profile does not know.
func (m *Method) CheckAll(values Values) error { return CheckAll(m.variables, values) }

// CheckAll is Check for all values at once.
func CheckAll(variables map[string]catalog.Variable, values Values) error {
	for name, value := range values {
		v, ok := variables[name]
		if !ok {
			return fmt.Errorf("{%s}: the profile knows no such variable", name)
		}
		if err := Check(name, v, value); err != nil {
			return err
		}
	}
	return nil
}

// Fill fills in the variables of a text such as a base URL. A variable without a
// value is an error that names it.
func Fill(variables map[string]catalog.Variable, text string, values Values) (string, error) {
	m := &Method{variables: variables}
	return m.fill(text, Client{}, values)
}

// fill checks each value again as it is used, so that what was kept under an
// older profile can't lead elsewhere either.
func (m *Method) fill(template string, client Client, values Values) (string, error) {
	var problem error
	filled := braces.ReplaceAllStringFunc(template, func(brace string) string {
		name := brace[1 : len(brace)-1]
		if name == "client_id" && client.ID != "" {
			return url.PathEscape(client.ID)
		}
		value, ok := values[name]
		if !ok && problem == nil {
			problem = fmt.Errorf("{%s} is not known; give it as a variable", name)
		}
		if ok && problem == nil {
			problem = Check(name, m.variables[name], value)
		}
		return value
	})
	if problem != nil {
		return "", problem
	}
	return filled, nil
}

// Learn reads the variables that the callback's parameters and a token answer
// tell (catalog.Variable.From). What is told in a form it must not have is an
// error: a base URL learnt from an answer is where calls will go.
func (m *Method) Learn(token Token, callback url.Values) (Values, error) {
	learnt := Values{}
	for name, v := range m.variables {
		source, key, _ := strings.Cut(v.From, ":")
		told := ""
		switch source {
		case "token":
			told = token.Answer[key]
		case "callback":
			told = callback.Get(key)
		}
		if told == "" {
			continue
		}
		value, err := shape(name, v, told)
		if err != nil {
			return nil, err
		}
		learnt[name] = value
	}
	return learnt, nil
}

// Lookup reads the value of a variable that is asked for with a request of its
// own (catalog.Variable.Ask) out of that request's answer.
func Lookup(name string, v catalog.Variable, body []byte) (string, error) {
	if v.Ask == nil || !gjson.ValidBytes(body) {
		return "", fmt.Errorf("{%s}: the answer that should tell it is no JSON", name)
	}
	told := gjson.GetBytes(body, v.Ask.Path).String()
	if told == "" {
		return "", fmt.Errorf("{%s}: the answer that should tell it holds nothing at %s", name, v.Ask.Path)
	}
	return shape(name, v, told)
}

// shape takes the value out of what the provider told: the host of an address,
// what stands behind a separator, the ending among Values. A value that has the
// right form already is left as it is.
func shape(name string, v catalog.Variable, told string) (string, error) {
	if Check(name, v, told) == nil {
		return told, nil
	}
	host := told
	if u, err := url.Parse(told); err == nil && u.Host != "" {
		host = u.Hostname()
	}
	candidates := []string{host}
	if v.Split != "" {
		if _, after, ok := strings.Cut(told, v.Split); ok {
			candidates = append(candidates, after)
		}
	}
	if first, _, ok := strings.Cut(host, "."); ok && len(v.Values) == 0 {
		candidates = append(candidates, first) // {shop} out of acme.myshopify.com
	}
	ending := ""
	for _, value := range v.Values {
		if strings.HasSuffix(host, "."+value) && len(value) > len(ending) {
			ending = value
		}
	}
	candidates = append(candidates, ending)
	for _, c := range candidates {
		if c != "" && Check(name, v, c) == nil {
			return c, nil
		}
	}
	return "", fmt.Errorf("{%s}: what the provider told does not have the form it must have", name)
}
