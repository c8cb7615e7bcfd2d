package generate

import (
	"strings"
	"unicode"
)

// initialisms are written in capitals in Go (Go Code Review Comments,
// "Initialisms").
var initialisms = map[string]string{
	"id": "ID", "ids": "IDs", "url": "URL", "urls": "URLs", "uri": "URI", "uuid": "UUID", "api": "API", "http": "HTTP", "https": "HTTPS", "ip": "IP", "json": "JSON",
	"html": "HTML", "sms": "SMS", "vat": "VAT", "iban": "IBAN", "bic": "BIC", "sso": "SSO", "cvc": "CVC", "sku": "SKU", "os": "OS", "db": "DB", "ui": "UI",
}

// split takes a name apart into words: at anything that is no letter or digit,
// and where a small letter meets a capital one.
func split(name string) []string {
	var list []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			list = append(list, strings.ToLower(string(word)))
			word = nil
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			end()
			continue
		case unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1])):
			end()
		case unicode.IsUpper(r) && i > 0 && i+1 < len(runes) && unicode.IsUpper(runes[i-1]) && unicode.IsLower(runes[i+1]):
			end()
		}
		word = append(word, r)
	}
	end()
	return list
}

// words joins the words of a name.
func words(name, with string) string { return strings.Join(split(name), with) }

// pascal is the name as an exported Go identifier.
func pascal(name string) string {
	var b strings.Builder
	for _, w := range split(name) {
		if up, ok := initialisms[w]; ok {
			b.WriteString(up)
			continue
		}
		r := []rune(w)
		b.WriteString(string(unicode.ToUpper(r[0])) + string(r[1:]))
	}
	s := b.String()
	if s == "" || !unicode.IsLetter([]rune(s)[0]) {
		s = "X" + s
	}
	return s
}

// goKeywords and the names a generated method uses itself.
var goTaken = strings.Fields("break case chan const continue default defer else fallthrough for func go goto if import interface map package range return select struct switch type var " +
	"c ctx in out err options error string any nil true false len json url http time context client")

// camel is the name as a local identifier that is not in taken.
func camel(name string, taken []string) string {
	s := ""
	for i, w := range split(name) {
		if i == 0 {
			s = w
			continue
		}
		s += pascal(w)
	}
	if s == "" || !unicode.IsLetter([]rune(s)[0]) {
		s = "x" + s
	}
	for _, t := range taken {
		if t == s {
			return s + "Value"
		}
	}
	return s
}

// unique gives every name once: the second Status becomes Status2.
type unique map[string]bool

func (u unique) name(s string) string {
	name := s
	for i := 2; u[name]; i++ {
		name = s + string(rune('0'+i%10))
		if i > 9 {
			name = s + strings.Repeat("X", i-9)
		}
	}
	u[name] = true
	return name
}
