package draft_test

import (
	"slices"
	"testing"

	"github.com/sallyport/sallyport/draft"
)

func TestReadNeed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                   "",
		"Refund a charge.\n": "Refund a charge.",
		"Charge customers\nfor  monthly invoices\n\nRefund them":                                   "Charge customers for monthly invoices; Refund them",
		"# Needs\r\n\r\n- Refund a charge\r\n- List payouts\r\n  of a month.\r\n* Void an invoice": "Refund a charge; List payouts of a month. Void an invoice",
		"1. Refund\n2) Void\n(3) List":                                                             "Refund; Void; List",
		"-":                                                                                        "-",
	} {
		if got := draft.ReadNeed(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// A list of needs gives what each of them alone would.
func TestNeedsOfAList(t *testing.T) {
	t.Parallel()
	p, r := write(t, input(t, "stripe", draft.ReadNeed("- Refund a charge\n- Void an invoice\n- List payouts")))
	for _, call := range []string{"POST /v1/refunds", "POST /v1/invoices/{invoice}/void", "GET /v1/payouts"} {
		if !slices.Contains(calls(p), call) {
			t.Errorf("%s is missing in %v", call, calls(p))
		}
	}
	if len(r.Uncovered) > 0 {
		t.Errorf("uncovered: %v", r.Uncovered)
	}
}

func FuzzReadNeed(f *testing.F) {
	for _, s := range []string{"- a\n- b", "1. a\n\n# x\n", "\r\n-\n", "• ä"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once := draft.ReadNeed(text)
		if len(once) > len(text)+len(text)/2+1 {
			t.Fatalf("it grew: %q", once)
		}
	})
}
