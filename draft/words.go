package draft

import (
	"strings"
	"unicode"

	"github.com/kljensen/snowball/english"
)

// stop are words that say nothing about an operation.
var stop = set(`a an the of to in on at by from with without into onto over under about as is are be been was were it its
	this that these those our your their his her my we you they he she i us them all any each every some no not or and then
	than so if when whenever while until after before during per via for which who whose what where how can could should
	would may might must will shall do does did done has have had having also only just up out off new one two same both
	using use used within between among through let lets want wants need needs able us v1 v2 v3 api rest`)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

// split cuts text into lower-case words, also at changes of case and at every
// character that is no letter and no digit: "PostInvoicesInvoicePay" and
// "chat.postMessage" come apart.
func split(text string) []string {
	var out []string
	var word []rune
	flush := func() {
		if len(word) > 0 {
			out = append(out, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	runes := []rune(text)
	for i, r := range runes {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			flush()
			continue
		}
		if unicode.IsUpper(r) && i > 0 {
			afterLower := unicode.IsLower(runes[i-1]) || unicode.IsDigit(runes[i-1])
			endOfAcronym := unicode.IsUpper(runes[i-1]) && i+1 < len(runes) && unicode.IsLower(runes[i+1])
			if afterLower || endOfAcronym {
				flush()
			}
		}
		word = append(word, r)
	}
	flush()
	return out
}

// stem brings the forms of a word together: invoices, invoiced, invoicing.
func stem(word string) string {
	if s, ok := abbreviations[word]; ok {
		word = s
	}
	if word == "customer" || word == "customers" {
		return "customer" // the stemmer makes it one with custom
	}
	if word == "important" {
		return word // and this with import
	}
	return english.Stem(word, true)
}

// abbreviations are written out before they are compared.
var abbreviations = map[string]string{
	"repo": "repository", "repos": "repository", "msg": "message", "msgs": "message", "org": "organization",
	"orgs": "organization", "organisation": "organization", "organisations": "organization", "mail": "email", "mails": "email",
	"auth": "authentication", "info": "information", "config": "configuration", "pr": "pull", "prs": "pull",
	"paid": "pay", "sent": "send", "made": "make", "sold": "sell", "bought": "buy", "cancelled": "cancel", "canceled": "cancel", "cancelling": "cancel", "cancellation": "cancel", "chan": "channel", "env": "environment", "envs": "environment", "db": "database",
	"given": "give", "gave": "give", "took": "take", "taken": "take", "told": "tell", "wrote": "write", "written": "write", "got": "get", "kept": "keep", "left": "leave", "went": "go", "gone": "go", "brought": "bring", "held": "hold", "lost": "lose", "found": "find", "saw": "see", "seen": "see", "said": "say", "put": "put",
	"addr": "address", "doc": "document", "docs": "document", "acct": "account", "pics": "picture", "img": "image", "imgs": "image",
}

// kin are words that mean nearly the same in requirements and in APIs. They
// count for less than the word itself.
var kin = map[string][]string{
	"customer": {"client", "payer", "buyer"}, "client": {"customer"}, "payer": {"customer"}, "buyer": {"customer"},
	"people": {"user", "member"}, "person": {"user", "member"}, "colleague": {"user", "member"}, "member": {"user"},
	"ticket": {"issue"}, "bug": {"issue"},
	"recipient": {"contact"}, "subscriber": {"contact", "subscription"}, "newsletter": {"broadcast", "campaign"},
	"money": {"payment", "balance"}, "charge": {"payment"}, "bill": {"invoice"}, "billing": {"invoice", "subscription"},
	"membership": {"subscription"}, "subscribe": {"subscription"}, "picture": {"image", "photo"}, "photo": {"image", "picture"}, "image": {"photo"},
	"room": {"channel", "conversation"}, "channel": {"conversation"}, "conversation": {"channel"}, "group": {"channel"},
	"emoji": {"reaction"}, "stock": {"inventory"}, "availability": {"inventory"}, "purchase": {"order"}, "login": {"session"},
	"profile": {"user"}, "appointment": {"event", "reminder"}, "text": {"message"},
}

// kinStems is kin by stems.
var kinStems = func() map[string][]string {
	m := map[string][]string{}
	for word, others := range kin {
		for _, o := range others {
			m[stem(word)] = append(m[stem(word)], stem(o))
		}
	}
	return m
}()

// stems are the meaningful words of a text, as stems, in their order, with
// repeats.
func stems(text string) []string {
	var out []string
	for _, w := range split(text) {
		if !stop[w] && len(w) > 1 {
			out = append(out, stem(w))
		}
	}
	return out
}

// singular of a path segment in snake case: customers, people, statuses.
func singular(word string) string {
	head, last := "", word
	if i := strings.LastIndexAny(word, "_-"); i >= 0 {
		head, last = word[:i+1], word[i+1:]
	}
	switch {
	case last == "people":
		last = "person"
	case strings.HasSuffix(last, "ies") && len(last) > 4:
		last = last[:len(last)-3] + "y"
	case strings.HasSuffix(last, "sses"), strings.HasSuffix(last, "ches"), strings.HasSuffix(last, "shes"),
		strings.HasSuffix(last, "xes"), strings.HasSuffix(last, "uses"):
		last = last[:len(last)-2]
	case strings.HasSuffix(last, "ss"), strings.HasSuffix(last, "us"), strings.HasSuffix(last, "is"), len(last) < 4:
	default:
		last = strings.TrimSuffix(last, "s")
	}
	return head + last
}

// snake writes a name in lower snake case.
func snake(name string) string { return strings.Join(split(name), "_") }

// camel writes a name in lower camel case.
func camel(name string) string {
	words := split(name)
	for i, w := range words {
		if i > 0 {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "")
}
