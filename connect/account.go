package connect

import (
	"strings"

	"github.com/sallyport/sallyport/credential/oauth"
	"github.com/sallyport/sallyport/vault"
)

// accountOf is whose account at the provider a connection is, as the provider's
// events name it (Service.Account); else otherwise.
func (s *service) accountOf(token oauth.Token, values map[string]string, otherwise string) string {
	told := ""
	if name, ok := strings.CutPrefix(s.Account, "token:"); ok {
		told = token.Answer[name]
	} else {
		told = s.Account
		for name, value := range values {
			if value != "" {
				told = strings.ReplaceAll(told, "{"+name+"}", value)
			}
		}
	}
	if told == "" || len(told) > longestAccount || strings.ContainsAny(told, "{}") {
		return otherwise
	}
	return told
}

// longestAccount bounds the name of an account; nothing longer is one.
const longestAccount = 512

// hookFields are what verifies the events of the tenant's own account.
func (s *service) hookFields() []Field {
	if !s.WebhookSecret {
		return nil
	}
	return []Field{{Name: vault.WebhookSecret, Label: "Signing secret of webhooks", Secret: true, Optional: true}}
}
