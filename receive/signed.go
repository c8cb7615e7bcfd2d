package receive

import (
	"net/http"
	"regexp"
	"strings"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/plan"
)

// headerPath finds the headers that a template or a path names.
var headerPath = regexp.MustCompile(`header:([A-Za-z0-9!#$%&'*+.^_|~-]+)`)

// signatures are the headers that a receiver needs to verify an event again: the
// signatures themselves and what they are checked with. Schemes whose header is
// the secret itself have none: it would lie in the store in the clear.
func signatures(facts *catalog.Webhooks) map[string]bool {
	signed, secret := map[string]bool{}, map[string]bool{}
	for _, v := range append([]catalog.Verification{facts.Verify}, verifications(facts.Variants)...) {
		switch v.Scheme {
		case "shared_token", "basic_auth", "mtls", "api_callback":
			headersOf(v, secret)
		default:
			headersOf(v, signed)
		}
	}
	for name := range secret {
		delete(signed, name)
	}
	delete(signed, "Cookie")
	return signed
}

func verifications(variants []catalog.VerifyVariant) (list []catalog.Verification) {
	for i := range variants {
		list = append(list, variants[i].Verify)
	}
	return list
}

// headersOf adds the headers that a scheme reads.
func headersOf(v catalog.Verification, to map[string]bool) {
	add := func(name string) {
		if name != "" && !strings.Contains(name, ":") {
			to[http.CanonicalHeaderKey(strings.TrimSuffix(name, "*"))] = true
		}
	}
	for _, name := range v.Header {
		add(name)
	}
	add(v.TimestampHeader)
	texts := []string{v.SignedContent}
	if v.Keys != nil {
		texts = append(texts, v.Keys.URLPath, v.Keys.KeyID)
	}
	for place := range v.Require {
		texts = append(texts, place)
	}
	for _, text := range texts {
		for _, found := range headerPath.FindAllStringSubmatch(text, -1) {
			add(found[1])
		}
	}
	if v.Scheme == "http_message_signatures" { // RFC 9421, section 4; RFC 9530
		add("Signature")
		add("Signature-Input")
		add("Content-Digest")
	}
}

// rawTypes are the event types that the plan delivers raw somewhere.
func rawTypes(p *plan.Plan) map[string]bool {
	types := map[string]bool{}
	for name, handling := range p.Webhooks.Events {
		for _, to := range handling.Destinations() {
			if p.Destinations[to].Raw() {
				types[name] = true
			}
		}
	}
	return types
}
