package draft

import (
	"regexp"
	"strings"
)

// People who write for developers tell why before they say what: "Spammers keep
// coming back. Our moderators need a way to lock somebody out, so that it is
// quiet again." A need is cut into sentences here, and of each is kept what it
// asks for. What only tells why stays as context: it names no operation, and may
// name an event.

// statement is a sentence of a need.
type statement struct {
	text    string
	context bool // it asks for nothing
}

var (
	sentenceEnd = regexp.MustCompile(`[.!?;]+["'”’)]*(\s+|$)|\n+`)

	// contracted is "I'd like".
	contracted = regexp.MustCompile(`(?i)\b([a-z]+)['’]d (like|love|need|want|also)\b`)
	// quoted text is a value, no name of anything: 'couch'.
	quoted = regexp.MustCompile(`(^|[\s(])(?:'[^']{1,40}'|"[^"]{1,40}"|“[^”]{1,40}”|‘[^’]{1,40}’)`)

	// story is how a user story begins, and what stands before the wish in it.
	story = regexp.MustCompile(`(?i)^as an? [^,]{1,60}?,? (?:i|we) (?:also )?(?:want|need|would like|wish|must|have|should)(?: to be able)?(?: to)? `)
	// wish is how a wish begins.
	wish = regexp.MustCompile(`(?i)^(?:it|that) (?:would|'d|will) (?:really )?(?:help|be (?:great|nice|good|handy|useful|helpful|lovely|perfect))(?: a lot)?(?: us)?,? (?:if|when|to) (?:(?:we|i|you|they|people|someone|somebody|one) (?:could|can|were able to) )?`)
	// plea asks somebody to do something.
	plea = regexp.MustCompile(`(?i)^(?:(?:so|and|also|then),? )?(?:please,? |kindly )?(?:could|can|would|will) (?:someone|somebody|anyone|anybody|you|we|i|they)(?: all)? (?:please )?(?:build|write|make|set up|give us|give me)?(?: (?:a|an|some) [a-z]+ that )?`)
	// means asks for a way to do something.
	means = regexp.MustCompile(`(?i)^.{0,60}?\b(?:an?|the|some|any|another|one)(?: [a-z]+)? (?:way|means|possibility|button|switch|page|screen|job|script|tool|place|option|form|command)(?::| to| that| which| where (?:people|we|they|users|customers|you) can| for us to| so we can) `)
	// actor is who wants to do something, and that he does.
	actor = regexp.MustCompile(`(?i)^(?:[\pL\pN’'&/-]+ ){1,7}?(?:(?:also|still|now|just|really|only|all) )?(?:wants?|needs?|wish(?:es)?|would like|'d like|would love|should be able|must be able|should be allowed|ought to be able|(?:has|have)(?: got)?|likes?|plans?|expects?|is supposed|are supposed) (?:us |you |them )?(?:also |still )?to (?:be able to )?`)
	// build asks for a program, and what is wanted is what it does.
	build = regexp.MustCompile(`(?i)^(?:please )?(?:build|make|write|give us|create|set up) (?:something|a (?:small )?(?:script|job|tool|program|bot|page|button)) (?:that|which|to) `)
	// others asks that somebody else does something.
	others = regexp.MustCompile(`(?i)^(?:[\pL\pN’'&/-]+ ){1,6}?(?:wants?|needs?|would like|'d like|expects?) (?:(?:the|our|my|their|all|these|those) )?(?:[\pL-]+ ){1,3}to (?:be able to )?`)
	// aside is a word or two before a colon that say who speaks.
	aside = regexp.MustCompile(`^(?:[^:,\s]+ ){0,3}[^:,\s]+: `)
	// welcome says that something would be good to have.
	welcome = regexp.MustCompile(`(?i)^(.*?),? would (?:also |really )?be (?:good|nice|great|handy|helpful|useful|lovely|perfect|enough)(?: too| as well)?$`)
	would   = regexp.MustCompile(`(?i)^(?:i|we|they|you)(?:'d|’d) (?:also )?(?:like|love|need|want) to (?:be able to )?`)
	// passive says what is to be done with something.
	passive = regexp.MustCompile(`(?i)^((?:[\pL\pN’'-]+ ){1,7}?)(?:should|must|needs? to|has to|have to|ought to) (?:also |always |then |automatically )?(?:be|get) (?:automatically )?([a-z]+(?:ed|en|nt|pt|ld|ut|de|wn|ght|et|ne)) ?((?:off|out|up|down|away|back)\b)?`)
	// ends says that something is to be over.
	ends = regexp.MustCompile(`(?i)^((?:[\pL\pN’'-]+ ){1,7}?)(?:should|must|needs? to|has to|have to|ought to) (?:stop working|stop|expire|end|disappear|go away|vanish|be gone|no longer work)\b`)
	// does says what somebody, or some part of the product, is to do.
	does = regexp.MustCompile(`(?i)^(?:[\pL\pN’'&/-]+ ){1,6}?(?:should|must|can|could|may|shall|ought to) (?:also |always |then |automatically |only |just |not )?`)
	// report asks for something to look at.
	report = regexp.MustCompile(`(?i)^(?:[\pL\pN’'-]+ ){0,6}?(?:also |just )?(?:wants?|needs?|(?:would|'d|’d)(?: also)? (?:like|love)) (?:to have |to get )?(?:an? |the |one |some |his |her |their |our )?(?:[a-z-]+ )?(?:list|overview|report|summary|look|view|total|count|history|digest|screen|page|email|mail|table|dashboard)(?: (?:of|with|that (?:lists|shows)|listing|showing|about|on|at))? `)
	// owns asks for something that is not there yet.
	owns = regexp.MustCompile(`(?i)^(?:[\pL\pN’'-]+ ){0,6}?(?:also |just )?(?:wants?|needs?|(?:would|'d|’d)(?: also)? (?:like|love)|should (?:get|have)|must (?:get|have)) ((?:its|their|his|her|our|my)(?: own)?|an?|another|one|some) `)

	// reasonWhy tells why; bySide how, or how fast.
	reasonWhy = regexp.MustCompile(`(?i),? (?:so that|so (?:we|they|people|nobody|no one|he|she|i|you|it|our|the|everyone|everybody|customers|users) |because |in order that|otherwise |as otherwise|since (?:we|they|it|our) ).*$`)
	bySide    = regexp.MustCompile(`(?i)\b(?:without (?:us |them |anyone )?[a-z]+ing [^,.;]*|in one go|all at once|at once|for good|right away|straight away|by hand|by (?:itself|themselves|himself)|automatically|as usual|on day one|on time|in time|at the same time|day by day|at (?:the )?month end|at night|in the (?:morning|evening|afternoon)|every (?:morning|evening|night|day|week|month|hour|monday|friday)|from now on|for a few (?:days|weeks|hours)|any more|anymore|no longer)\b`)
	told      = regexp.MustCompile(`(?i)^.*?\b(?:is|are|be|were|was|gets?|being) (?:told|informed|notified|alerted|warned|pinged)\b`) // to hear of something

	asking = regexp.MustCompile(`(?i)\b(?:please|should|must|needs?|wants?|(?:would|['’]d)(?: also| really)? (?:like|love|be)|(?:could|can|would) (?:someone|somebody|you|we)|let (?:us|me|people|them|users|customers)|it would|wish|(?:has|have) to)\b`)
)

// statements of a need, each with what it asks for. Where none asks, all do.
func statements(need string) []statement {
	var out []statement
	asked := false
	for _, text := range sentenceEnd.Split(need, -1) {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		s := statement{text: text}
		s.context = !asking.MatchString(text) && !imperative(text) && tells(text)
		if len(out) > 0 && further[strings.ToLower(firstWord(text))] { // "And a second one that …"
			s.context = s.context && out[len(out)-1].context
		}
		asked = asked || !s.context
		out = append(out, s)
	}
	for i := range out {
		out[i].context = out[i].context && asked
		if !out[i].context {
			out[i].text = request(out[i].text)
		}
	}
	return out
}

// tells reports whether a sentence looks like one that tells something: what may
// be an order with an unknown verb is taken for one, and said to be uncovered.
func tells(text string) bool {
	for i, w := range strings.Fields(strings.ToLower(text)) {
		w = strings.Trim(w, ",.;:!?()\"'“”")
		switch {
		case i == 0 && (determiners[w] || subjects[w] || people[w] || questions[w] || conditions[w] || subjectWords[w]), auxiliary[w]:
			return true
		case strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss"): // spammers keep; a client asks
			return true
		case i > 0:
			return false
		}
	}
	return false
}

var (
	// subjectWords begin a sentence that tells something.
	subjectWords = set("there here nobody everybody everyone no all most many too some last next yesterday today right now at in on for with from by since only even often sometimes usually currently")
	auxiliary    = set("is are was were be been has have had do does did can could will would may might must should keep keeps get gets got")
)

// further are words with which a sentence goes on where the one before ended.
var further = set("and also plus or likewise same")

// request is what a sentence asks for, as an order.
func request(text string) string {
	text = contracted.ReplaceAllString(text, "$1 would $2")
	text = quoted.ReplaceAllString(text, "$1")
	text = reasonWhy.ReplaceAllString(text, "")
	text = bySide.ReplaceAllString(text, "")
	text = strings.Join(strings.Fields(text), " ")
	occasion := ""
	if first, rest, ok := strings.Cut(text, ", "); ok && conditions[strings.ToLower(firstWord(text))] || ok && strings.HasPrefix(strings.ToLower(text), "every time ") {
		occasion, text = first, rest
	}
	if at := aside.FindStringIndex(text); at != nil && asking.MatchString(text[at[1]:]) {
		text = text[at[1]:]
	}
	if !imperative(text) || build.MatchString(text) {
		text = asOrder(text)
	}
	if occasion != "" {
		occasion = strings.TrimPrefix(strings.TrimPrefix(occasion, "Every time "), "every time ")
		if !conditions[strings.ToLower(firstWord(occasion))] {
			occasion = "when " + occasion
		}
		text = occasion + ", " + text
	}
	return text
}

func firstWord(text string) string {
	first, _, _ := strings.Cut(text, " ")
	return strings.Trim(first, ",.;:!?()\"'“”")
}

// asOrder takes away who wants something, and how politely.
func asOrder(text string) string {
	switch {
	case told.MatchString(text):
		return told.ReplaceAllString(text, "be told ")
	case welcome.MatchString(text):
		return welcome.ReplaceAllString(text, "show $1")
	case ends.MatchString(text):
		return ends.ReplaceAllString(text, "disable $1")
	case passive.MatchString(text):
		return passive.ReplaceAllString(text, "$2 $3 $1")
	}
	for range 3 {
		before := text
		for _, polite := range []*regexp.Regexp{story, wish, plea, would, build, means, actor, others} {
			if at := polite.FindStringIndex(text); at != nil && at[1] < len(text) {
				text = text[at[1]:]
			}
		}
		if text == before {
			break
		}
	}
	switch {
	case report.MatchString(text):
		return report.ReplaceAllString(text, "list ")
	case owns.MatchString(text):
		return owns.ReplaceAllString(text, "create $1 ")
	}
	if at := does.FindStringIndex(text); at != nil && at[1] < len(text) && !imperative(text) {
		return text[at[1]:]
	}
	return text
}

// imperative reports whether a text begins with a verb that asks for something,
// behind "please" and the like, or behind an occasion.
func imperative(text string) bool {
	if _, rest, ok := strings.Cut(text, ", "); ok && (conditions[strings.ToLower(firstWord(text))] || strings.HasPrefix(strings.ToLower(text), "every time ")) {
		text = rest
	}
	words := split(text)
	for len(words) > 0 && begun[words[0]] {
		words = words[1:]
	}
	if len(words) == 0 {
		return false
	}
	w := words[0]
	if strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss") || strings.HasSuffix(w, "ed") && w != "feed" && w != "embed" || strings.HasSuffix(w, "ing") && w != "bring" && w != "ring" && w != "ping" {
		return false
	}
	if _, known := verbs[stem(w)]; known || len(deedsOf(stem(w))) > 0 {
		return true
	}
	_, one, _ := longest(stemAll(words), words)
	return len(one.deeds) > 0
}

// begun are words that may stand before an order.
var begun = set("please also then and just never always kindly so ok okay hi hello now maybe either next finally first afterwards")
