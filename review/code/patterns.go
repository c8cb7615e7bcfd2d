package code

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/review"
)

// route is how frameworks of a language name what answers requests. The group
// "path" is the address, "method" the method where it is told, "name" the name of
// the function.
var routes = map[*language][]*regexp.Regexp{
	typescript: {
		regexp.MustCompile(`\b(?:app|router|server|fastify|api|route|routes|\w*[rR]outer)\.(?P<method>get|post|put|patch|delete|all|use)\([ \t\n]*['"\x60](?P<path>[^'"\x60\n]*)['"\x60]`),
		regexp.MustCompile(`\bexport[ \t]+(?:async[ \t]+)?function[ \t]+(?P<method>GET|POST|PUT|PATCH|DELETE)[ \t]*\(`),
		regexp.MustCompile(`@(?P<method>Get|Post|Put|Patch|Delete|All)\([ \t]*(?:['"](?P<path>[^'"\n]*)['"])?[ \t]*\)`),
	},
	python: {
		regexp.MustCompile(`(?m)^[ \t]*@[\w.]+\.(?P<method>route|get|post|put|patch|delete|api_route)\([ \t\n]*['"](?P<path>[^'"\n]*)['"]`),
		regexp.MustCompile(`(?m)^[ \t]*(?:async[ \t]+)?def[ \t]+(?P<name>\w+)\([ \t]*(?:self[ \t]*,[ \t]*)?request\b`),
	},
	ruby: {
		regexp.MustCompile(`(?m)^[ \t]*(?P<method>get|post|put|patch|delete)[ \t(]+['"](?P<path>[^'"\n]*)['"].*\bdo\b`),
		regexp.MustCompile(`(?m)^[ \t]*def[ \t]+(?P<name>create|update|destroy|show|index|receive|webhook\w*)[ \t]*$`),
	},
	php: {
		regexp.MustCompile(`(?:Route::|\$app->|\$router->)(?P<method>get|post|put|patch|delete|any|match)\([ \t\n]*['"](?P<path>[^'"\n]*)['"]`),
		regexp.MustCompile(`\bfunction[ \t]+(?P<name>\w+)\([^)\n]*\bRequest[ \t]+\$`),
	},
	java: {
		regexp.MustCompile(`@(?P<method>Get|Post|Put|Patch|Delete|Request)Mapping\([ \t]*(?:(?:value|path)[ \t]*=[ \t]*)?\{?[ \t]*(?:"(?P<path>[^"\n]*)")?`),
		regexp.MustCompile(`\bvoid[ \t]+(?P<name>doGet|doPost|doPut|doDelete)[ \t]*\(`),
	},
	csharp: {
		regexp.MustCompile(`\[Http(?P<method>Get|Post|Put|Patch|Delete)(?:\([ \t]*"(?P<path>[^"\n]*)")?`),
		regexp.MustCompile(`\.Map(?P<method>Get|Post|Put|Patch|Delete)\([ \t\n]*"(?P<path>[^"\n]*)"`),
	},
}

var (
	verifying = regexp.MustCompile(`(?i)verif|signature|construct_?event|hmac|timing_?safe|compare_digest|secure_?compare|hash_equals|fixedtimeequals|isequal\(|svix|sallyport`)
	webhookly = regexp.MustCompile(`(?i)web_?-?hook`)
)

// handler is a part of a file that answers requests.
type handler struct {
	start, end int // of its declaration and body
	path, name string
	method     string
}

// patterns looks for what can be told by patterns in languages other than Go.
func (s *scan) patterns(src source, mentions []mention) (found []review.Finding, asked map[string]int) {
	asked = map[string]int{}
	if src.lang == nil || src.lang == golang || src.test {
		return nil, asked
	}
	if len(mentions) == 0 && !bytes.Contains(lower(src.code), []byte("hook")) {
		return nil, asked // nothing here calls a provider or takes webhooks
	}
	bound := bindings(src, mentions)
	for _, h := range handlers(src) {
		webhook := isWebhook(h, src)
		rule := "R7.2.2"
		if webhook {
			rule = "R7.2.4"
			asked["R7.2.5"]++
			if !verifying.Match(src.code) {
				found = append(found, s.unverified(src, h, mentions))
			}
		}
		asked[rule]++
		if at, what := called(src, h, mentions, bound, s.names); at > 0 {
			found = append(found, s.finding(src, rule, at, fmt.Sprintf("%s waits for %s", h.words(), what)))
		}
	}
	for _, at := range thrownAway(src, bound) {
		found = append(found, s.finding(src, "R7.2.3", at, "the error of a provider call is caught and thrown away"))
	}
	return found, asked
}

func (h handler) words() string {
	switch {
	case h.path != "":
		return "the handler of " + strings.TrimSpace(strings.ToUpper(h.method)+" "+h.path)
	case h.name != "":
		return "the handler " + h.name
	}
	return "a request handler"
}

// isWebhook reports whether a handler takes webhooks: told by its address, its
// name or, where it has neither, its file. Who only reads or deletes takes none.
func isWebhook(h handler, src source) bool {
	switch strings.ToLower(h.method) {
	case "get", "delete", "use", "patch", "put":
		return false
	}
	if h.path != "" || h.name != "" && webhookly.MatchString(h.name) {
		return webhookly.MatchString(h.path + h.name)
	}
	return webhookly.MatchString(src.name)
}

// unverified is a webhook handler without a signature in sight. Where nothing
// says that a provider sends to it, it may be part of your own API.
func (s *scan) unverified(src source, h handler, mentions []mention) review.Finding {
	f := s.finding(src, "R7.2.5", h.start, h.words()+" takes webhooks, and nothing in the file verifies a signature")
	if len(mentions) == 0 && !s.names.named(h.path+h.name+src.name) {
		f.Severity = review.Warning
		f.Message += "; if your own customers call it, ignore this with a reason"
	}
	return f
}

// named reports whether a text names a provider.
func (n *names) named(text string) bool {
	text = plain(text)
	for word := range n.words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

func handlers(src source) (out []handler) {
	for _, r := range routes[src.lang] {
		before := len(out)
		for _, m := range r.FindAllSubmatchIndex(src.code, 1000) {
			// A route and the function under it are one handler.
			if slices.ContainsFunc(out[:before], func(h handler) bool { return h.start <= m[0] && m[0] < h.end }) {
				continue
			}
			h := handler{start: m[0], end: bodyEnd(src, m[0], m[1])}
			for i, name := range r.SubexpNames() {
				if name == "" || m[2*i] < 0 {
					continue
				}
				switch text := string(src.code[m[2*i]:m[2*i+1]]); name {
				case "path":
					h.path = text
				case "method":
					if h.method = text; text == "route" || text == "api_route" || text == "Request" || text == "match" || text == "any" || text == "all" || text == "All" {
						h.method = ""
					}
				case "name":
					h.name = text
				}
			}
			out = append(out, h)
		}
	}
	return out
}

// bodyEnd is where the body of what is declared ends: by its braces, or by its
// indentation. Text is stepped over.
func bodyEnd(src source, start, from int) int {
	if src.lang == python || src.lang == ruby {
		return indented(src, start)
	}
	depth, opened := 0, false
	for i := from; i < len(src.code) && i < from+100_000; {
		switch src.code[i] {
		case '{':
			depth++
			opened = true
		case '}':
			depth--
			if opened && depth <= 0 {
				return i + 1
			}
		case ';':
			if !opened {
				return i
			}
		case '"', '\'', '`':
			i = src.lang.quoted(src.code, i)
			continue
		}
		i++
	}
	return min(len(src.code), from+100_000)
}

// indented is where the lines end that stand deeper than the one at start, after
// the head of the function itself.
func indented(src source, start int) int {
	depth := func(line []byte) int { return len(line) - len(bytes.TrimLeft(line, " \t")) }
	begin := bytes.LastIndexByte(src.code[:start], '\n') + 1
	for begin < len(src.code) && (src.code[begin] == '\n') {
		begin++
	}
	end, base, inside := begin, -1, false
	for line := range bytes.Lines(src.code[begin:]) {
		text := bytes.TrimSpace(line)
		switch {
		case base < 0:
			base = depth(line)
		case len(text) == 0:
		case depth(line) > base:
			inside = true
		case !inside, bytes.HasPrefix(text, []byte(")")): // decorators, the head
		default:
			return end
		}
		end += len(line)
	}
	return end
}

var (
	bindingName = regexp.MustCompile(`(?:import|const|let|var)[ \t]+(?:\*[ \t]+as[ \t]+)?(?:([A-Za-z_$][\w$]*)|\{([^}\n]*)\})|import[ \t]+[\w.]+[ \t]+as[ \t]+(\w+)`)
	assigned    = regexp.MustCompile(`\$?([A-Za-z_][\w$]*)[ \t]*(?::[ \t]*[\w.<>]+[ \t]*)?=[ \t]*(?:await[ \t]+)?(?:new[ \t]+)?\\?([A-Za-z_][\w$]*)[.\\:\w]*[ \t]*\(`)
)

// bindings are the names in a file that stand for a provider's library or for a
// client of it, each with the provider.
func bindings(src source, mentions []mention) map[string]string {
	bound := map[string]string{}
	for _, m := range mentions {
		if !m.sdk {
			continue
		}
		line := lineAt(src.code, m.at)
		if src.lang != typescript {
			module, _, _ := strings.Cut(m.what, "/")
			bound[module] = m.provider
			bound[strings.ToUpper(module[:1])+module[1:]] = m.provider
		}
		if src.lang == php || src.lang == java { // use Stripe\StripeClient; import com.stripe.model.Charge;
			last := strings.TrimRight(strings.TrimSpace(line), "; \t")
			bound[last[strings.LastIndexAny(last, ".\\ ")+1:]] = m.provider
		}
		for _, found := range bindingName.FindAllStringSubmatch(line, -1) {
			for _, name := range strings.FieldsFunc(found[1]+","+found[2]+","+found[3], func(r rune) bool { return r == ',' || r == ' ' }) {
				if name != "as" && name != "type" {
					bound[name] = m.provider
				}
			}
		}
		if _, list, ok := strings.Cut(line, " import "); ok && src.lang == python { // from stripe import StripeClient
			for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '(' || r == ')' || r == '\r' }) {
				bound[name] = m.provider
			}
		}
	}
	if len(bound) > 0 {
		for _, m := range assigned.FindAllSubmatch(src.code, -1) {
			id := bound[string(m[2])]
			for module, provider := range bound {
				if src.lang == csharp && id == "" && strings.HasPrefix(string(m[2]), module) { // using Stripe; new StripeClient(…)
					id = provider
				}
			}
			if id != "" {
				bound[string(m[1])] = id
			}
		}
	}
	return bound
}

var callOf = regexp.MustCompile(`\$?\b([A-Za-z_][\w$]*)(?:(?:\.|->|::|\?\.)[\w$]+)+!?[ \t]*\(`)

// harmless are methods of a library that wait for nobody.
var harmless = regexp.MustCompile(`(?i)construct|verif|valid|parse|webhook|signature|configure|\bset[A-Z_]|api_?key|\.builder\(|\.on\(|express|middleware`)

// called is the first place in a handler that calls a provider; 0 for none.
func called(src source, h handler, mentions []mention, bound map[string]string, n *names) (at int, what string) {
	for _, m := range mentions {
		if !m.sdk && h.start <= m.at && m.at < h.end {
			return m.at, m.words(n)
		}
	}
	if len(bound) == 0 {
		return 0, ""
	}
	for _, m := range callOf.FindAllSubmatchIndex(src.code[h.start:h.end], -1) {
		text := string(src.code[h.start+m[0] : h.start+m[1]-1])
		if id := bound[string(src.code[h.start+m[2]:h.start+m[3]])]; id != "" && !harmless.MatchString(text) {
			return h.start + m[0], n.label(id) + " (" + strings.TrimSpace(text) + ")"
		}
	}
	return 0, ""
}

var swallowed = map[*language]*regexp.Regexp{
	typescript: regexp.MustCompile(`\.catch\([ \t]*(?:\(?\w*\)?[ \t]*=>[ \t]*\{[ \t\n]*\}|\(\)[ \t]*=>[ \t]*(?:null|undefined))[ \t]*\)|catch[ \t]*(?:\([^)\n]*\))?[ \t]*\{[ \t\n]*\}`),
	python:     regexp.MustCompile(`except[^:\n]*:[ \t]*\n?[ \t]*pass\b`),
	ruby:       regexp.MustCompile(`rescue[^\n]*\n[ \t]*(?:nil[ \t]*\n[ \t]*)?end\b|[^\n]\brescue[ \t]+nil\b`),
	php:        regexp.MustCompile(`catch[ \t]*\([^)\n]*\)[ \t]*\{[ \t\n]*\}`),
	java:       regexp.MustCompile(`catch[ \t]*\([^)\n]*\)[ \t]*\{[ \t\n]*\}`),
	csharp:     regexp.MustCompile(`catch[ \t]*(?:\([^)\n]*\))?[ \t]*\{[ \t\n]*\}`),
}

// thrownAway are the places that catch an error and do nothing, within twenty
// lines behind a call of a provider's library.
func thrownAway(src source, bound map[string]string) (out []int) {
	r := swallowed[src.lang]
	if r == nil || len(bound) == 0 {
		return nil
	}
	for _, m := range r.FindAllIndex(src.code, -1) {
		from := m[0]
		for lines := 0; from > 0 && lines < 20; from-- {
			if src.code[from-1] == '\n' {
				lines++
			}
		}
		for _, c := range callOf.FindAllSubmatchIndex(src.code[from:m[0]], -1) {
			if bound[string(src.code[from+c[2]:from+c[3]])] != "" && !harmless.Match(src.code[from+c[0]:from+c[1]]) {
				out = append(out, m[0])
				break
			}
		}
	}
	return out
}
