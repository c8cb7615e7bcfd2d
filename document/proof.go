package document

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/sallyport/sallyport/plan"
)

// proofs say, for each kind of row, what a test does and what it must see. The
// longest beginning and the last part of a row's id choose: "endpoint timeout"
// before "endpoint".
var proofs = map[string]string{
	"provider version":   "make a call; the stand-in sees the version asked for, and no other",
	"provider header":    "make a call; the stand-in sees the header with this value",
	"environment":        "start the environment and make a call; it reaches this address and no other",
	"auth credential":    "make a call; the credential is on the request, and neither log nor record shows it",
	"auth whose":         "connect two tenants and make a call of each; the stand-in sees each one's credential with its own calls alone",
	"auth tell":          "revoke the grant at the stand-in; the destination hears of it once, and again when it is mended",
	"auth rotate_every":  "give a credential that is older; it is reported",
	"endpoint call":      "make a call; the stand-in sees this method and path once",
	"endpoint effect":    "break the connection after the request was read; count how often the stand-in saw it",
	"endpoint send":      "make a call with a full and an almost empty body; compare what the stand-in reads",
	"endpoint receive":   "answer with the provider's sample, then without optional fields; compare what the caller gets",
	"endpoint encoding":  "make a call with nested values; the stand-in reads them back unchanged",
	"endpoint timeout":   "let the stand-in answer later; the attempt ends in time and counts as a timeout",
	"endpoint fallback":  "make the provider unreachable; the caller gets what the fallback says and nothing else",
	"endpoint cache":     "call twice within the time and once after; the stand-in sees two requests",
	"mapping":            "map the provider's sample there and back; then with the field missing, null and of the wrong type",
	"error":              "let the stand-in give this answer; count the attempts, see what the caller reads and whether someone is told",
	"error timeout":      "let the stand-in not answer; count the attempts and see what is kept",
	"error network":      "close the stand-in's door; count the attempts and see what is kept",
	"limit":              "send more than the share at once; the stand-in never counts more than it in a window",
	"limit wait":         "ask for a turn behind a full queue; the caller is turned away in time, and the stand-in sees nothing",
	"limit queue":        "let more callers wait than may; one more is turned away at once",
	"limit mode":         "send more than the share; all go through, and those above it are counted",
	"breaker failures":   "let the stand-in fail; after so many calls it sees none, then a few, then all",
	"breaker slow_calls": "let the stand-in answer late; after so many calls it sees none, then a few, then all",
	"breaker pause":      "keep the stand-in broken; the probes it sees come at growing distances",
	"call deadline":      "let every attempt fail; the call ends in time with what was answered last",
	"call expire":        "keep the provider down for longer; the call is with a person, and was not sent",
	"call retry_budget":  "let every call fail; count what the stand-in sees beyond one request a call",
	"endpoint bulk":      "make many calls at once, one of them bad; the stand-in sees one request and each caller its own answer",
	"endpoint record":    "kill the process while the stand-in holds its answer back; the call is with a person, and was sent once",
	"endpoint priority":  "queue calls of both kinds; those of higher priority are seen first",
	"endpoint cost":      "make calls until the share is used; the stand-in never counts more units than it",
	"webhook verify":     "send with a changed byte, a wrong secret, an old time and no signature: each is refused and nothing is processed",
	"webhook duplicate":  "send the same event twice, and twice at once; it is processed once",
	"webhook ignored":    "send a type that is not listed; it is kept, and no destination hears of it",
	"webhook tenant":     "send events of two customers and one without; each is filed under its own",
	"webhook order_by":   "send two events of one resource; both deliveries name it",
	"webhook retention":  "let the time pass; what is older is gone and what is younger is there",
	"webhook redact":     "send an event with these fields; logs and lists do not show them",
	"webhook reconcile":  "keep an event back; it is found by asking, and processed once",
	"event":              "send the event; its destination gets it mapped and signed, once",
	"destination":        "receive a delivery and check its signature; one with a changed byte does not pass",
	"destination time":   "let the destination answer later; the delivery ends in time and is tried again",
	"monitoring expect":  "stay silent for longer; it is reported, and once",
	"monitoring notify":  "cause trouble; each channel hears of it",
	"endpoint idem":      "break the connection after the request was read; all attempts carry one key, the stand-in makes one thing",
	"endpoint on_confli": "answer 409; the state is read once and the right values stand",
}

// proofOf chooses what proves a row.
func proofOf(r plan.Row) string {
	key := func(last string) string {
		best := ""
		for k := range proofs {
			kind, start, two := strings.Cut(k, " ")
			if kind == r.Kind && two && strings.HasPrefix(last, start) && len(k) > len(best) {
				best = k
			}
		}
		return proofs[best]
	}
	last := r.ID[strings.LastIndexByte(r.ID, '.')+1:]
	switch r.Kind {
	case "mapping", "event":
		last = "" // a name of the provider's, not a key of the plan
	case "provider":
		last, _, _ = strings.Cut(strings.TrimPrefix(r.ID, "provider."), ".")
	case "destination":
		if !strings.HasSuffix(r.ID, ".timeout") {
			last = ""
		}
	}
	if last != "" {
		if s := key(last); s != "" {
			return s
		}
	}
	return cmp.Or(proofs[r.Kind], "prove it against the stand-in, and that its opposite is noticed")
}

// tests groups the rows of the plan by what proves them (R6).
func (w *writer) tests() {
	w.part("tests", "Tests")
	w.say("Each statement of the plan is a row with an id. Findings, tests and this table use the same; ", codeSpan("sallyport review"), " says where it stands. A row that is not acted upon yet is marked with a star.")
	waiting := map[string]bool{}
	for _, r := range w.unenforced {
		waiting[r.ID] = true
	}
	var order []string
	ids := map[string][]text{}
	for _, r := range w.rows {
		proof := proofOf(r)
		if ids[proof] == nil {
			order = append(order, proof)
		}
		id := t(codeSpan(r.ID))
		if waiting[r.ID] {
			id = t(codeSpan(r.ID), "*")
		}
		ids[proof] = append(ids[proof], id)
	}
	rows := make([][]text, len(order))
	for i, proof := range order {
		rows[i] = []text{t(proof), joined(ids[proof], ", ")}
	}
	w.details(fmt.Sprintf("What proves the %d rows of the plan", len(w.rows)), []string{"What is done, and what must be seen", "Rows"}, rows)
}
