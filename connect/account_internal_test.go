package connect

import (
	"testing"

	"github.com/sallyport/sallyport/credential/oauth"
)

// R2.2, R5.3: an account is named as the provider's events name it.
func TestAccountOf(t *testing.T) {
	t.Parallel()
	token := oauth.Token{Answer: map[string]string{"team.id": "T1"}}
	values := map[string]string{"shop": "acme", "empty": ""}
	for from, want := range map[string]string{
		"": "who", "token:team.id": "T1", "token:absent": "who", "{shop}.myshopify.com": "acme.myshopify.com", "{realm}": "who", "{empty}": "who",
	} {
		s := &service{Service: Service{Account: from}}
		if got := s.accountOf(token, values, "who"); got != want {
			t.Errorf("%q: %q, want %q", from, got, want)
		}
	}
}
