package catalog_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
)

var update = flag.Bool("update", false, "write the files that are made from the profiles anew")

// profiles reads the files themselves, not what the index says is there.
func profiles(t testing.TB) []*catalog.Profile {
	t.Helper()
	var all []*catalog.Profile
	for _, id := range catalog.IDs() {
		data, err := os.ReadFile("providers/" + id + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		p, err := catalog.Parse(id+".yaml", data)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

// The index is what the profiles say, and no name stands for two providers.
func TestIndex(t *testing.T) {
	t.Parallel()
	var lines [][]byte
	owner := map[string]string{}
	for _, p := range profiles(t) {
		line, err := json.Marshal(catalog.Of(p))
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
		for _, name := range append([]string{p.ID}, p.Aliases...) {
			if other, taken := owner[name]; taken {
				t.Errorf("%s stands for %s and %s", name, other, p.ID)
			}
			owner[name] = p.ID
		}
		if p.Text == "" {
			t.Errorf("%s: text: say in a line what the provider is for", p.ID)
		}
	}
	want := append(append([]byte("[\n"), bytes.Join(lines, []byte(",\n"))...), "\n]\n"...)
	if *update {
		if err := os.WriteFile("index.json", want, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if got, err := os.ReadFile("index.json"); err != nil || !bytes.Equal(got, want) {
		t.Error("index.json is not what the profiles say; make it anew: go test ./catalog -run 'TestIndex|TestProvidersPage' -update")
	}
}

// R1.1: a provider is found by what people call it, slips included.
func TestSearch(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"stripe":              "stripe",
		"strpie":              "stripe",
		"Stripe":              "stripe",
		"saleforce":           "salesforce",
		"git hub":             "github",
		"gihtub":              "github",
		"quickboks":           "quickbooks",
		"google calendar":     "google-calendar",
		"google_channels":     "google-calendar",
		"twitter":             "x",
		"whatsapp":            "whatsapp-cloud",
		"bank accounts":       "increase modern-treasury plaid qonto",
		"payments subscript":  "chargebee lemon-squeezy paddle polar razorpay",
		"parcel":              "easypost shippo shipstation",
		"hubspott":            "hubspot",
		"zendesc":             "zendesk",
		"send sms":            "plivo twilio vonage messagebird telnyx",
		"no such thing there": "",
		"":                    "",
	} {
		hits := catalog.Search(text)
		if want == "" {
			if len(hits) > 0 {
				t.Errorf("%q: found %s", text, hits[0].ID)
			}
			continue
		}
		if len(hits) == 0 || !slices.Contains(strings.Fields(want), hits[0].ID) {
			var got []string
			for _, h := range hits {
				got = append(got, h.ID)
			}
			t.Errorf("%q: found %v, want first one of %s", text, got, want)
		}
	}
	if hits := catalog.Search(strings.Repeat("a", 10000)); len(hits) > 0 {
		t.Error("a page of letters is no search")
	}
}

func ExampleSearch() {
	for _, hit := range catalog.Search("strpie") {
		fmt.Println(hit.ID, "-", hit.Text)
	}
	// Output:
	// stripe - card payments, subscriptions, invoices and payouts
}

func BenchmarkIndex(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if len(catalog.Index()) == 0 {
			b.Fatal("empty")
		}
	}
}

func BenchmarkSearch(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		catalog.Search("payments")
	}
}

func BenchmarkParseAll(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		profiles(b)
	}
}
