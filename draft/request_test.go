package draft

import (
	"strings"
	"testing"
)

// R8.2: of what people write for developers the order is kept, and what only
// tells why asks for nothing.
func TestStatements(t *testing.T) {
	t.Parallel()
	for need, want := range map[string]string{
		"Refund a charge":                                                        "Refund a charge",
		"Show which charities one can support":                                   "Show which charities one can support",
		"As a shop owner, I want to see my sales":                                "see my sales",
		"As an editor I need to be able to publish pages, and take them down.":   "publish pages, and take them down",
		"Spammers keep coming back. We need a way to lock somebody out.":         "~ Spammers keep coming back | lock somebody out",
		"It would be great if we could send parcels from here":                   "send parcels from here",
		"Could someone please export the list?":                                  "export the list",
		"Salon clients should be able to book an appointment without calling us": "book an appointment",
		"Old links must stop working once we say so":                             "disable Old links once we say so",
		"Junk needs to be deleted automatically":                                 "deleted Junk",
		"Our own server should be told when a payment fails":                     "be told when a payment fails",
		"I'd like an overview of open bills":                                     "list open bills",
		"The agency needs its own access key":                                    "create its own access key",
		"Load the products so that they are found tomorrow":                      "Load the products",
		"Mark it as 'from customer' for the team":                                "Mark it as for the team",
		"Every time we win a deal, open a channel":                               "when we win a deal, open a channel",
		"Note from support: we want to search the errors":                        "search the errors",
		"We need a button: stop everything. And a second one that starts it.":    "stop everything | And a second one that starts it",
		"I want the person on call to see the versions":                          "see the versions",
		"Build something that goes through the mail":                             "goes through the mail",
		"A list of the servers would be good too. Delete the old ones.":          "show A list of the servers | Delete the old ones",
		"Frobnicate the widgets. Refund a charge.":                               "Frobnicate the widgets | Refund a charge",
		"Nobody asks here. It is only told.":                                     "Nobody asks here | It is only told",
		"":                                                                       "",
	} {
		var got []string
		for _, s := range statements(need) {
			if s.context {
				s.text = "~ " + s.text
			}
			got = append(got, strings.Join(strings.Fields(s.text), " "))
		}
		if strings.Join(got, " | ") != want {
			t.Errorf("%q: got %q, want %q", need, strings.Join(got, " | "), want)
		}
	}
}

func FuzzStatements(f *testing.F) {
	for _, s := range []string{"As a b, I want to c", "It would help if", "a b should be c", "\n. , : '", "ä should be ö"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, need string) {
		for _, s := range statements(need) {
			if len(s.text) > len(need)+len("disable when ") {
				t.Errorf("%q grew to %q", need, s.text)
			}
		}
	})
}
