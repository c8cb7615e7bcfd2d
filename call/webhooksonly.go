package call

import (
	"context"
	"fmt"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/credential"
	"github.com/sallyport/sallyport/integration"
)

// uncredentialed refuses every call of a plan that is about webhooks alone, and
// whose provider takes none of the credentials that we can put onto a request.
type uncredentialed struct{ err error }

// webhooksOnly is what a plan without endpoints has in place of a credential that
// can't be had. The Applier is for taking a caller's own credential off.
func webhooksOnly(why error) (*credential.Applier, Authorizer, error) {
	a, err := credential.Compile(catalog.Auth{Kind: "api_key", In: "header", Name: "Authorization"})
	if err != nil {
		return nil, nil, fmt.Errorf("call: %w", err)
	}
	return a, uncredentialed{why}, nil
}

func (u uncredentialed) failure() error {
	return &integration.Failure{
		Class: integration.ClassUnauthorized, Code: "no_credential", Reason: "credential", Err: u.err,
		Message: "This service only receives webhooks; it makes no calls.", Hint: "name a credential in auth.use that the provider's profile offers",
	}
}

// For refuses.
func (u uncredentialed) For(context.Context, string, string) (*Authorized, error) {
	return nil, u.failure()
}

// Refused refuses; it is never asked.
func (u uncredentialed) Refused(context.Context, *Authorized) (*Authorized, error) {
	return nil, u.failure()
}

// StillRefused is never asked.
func (u uncredentialed) StillRefused(context.Context, *Authorized) error { return u.failure() }
