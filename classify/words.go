package classify

import "github.com/sallyport/sallyport/integration"

// words are what a class is called to people: to the one using the product, and
// to the developer.
type words struct{ message, hint string }

var wordsOf = map[integration.Class]words{
	integration.ClassInvalid:      {"did not accept the request.", "The request itself is wrong; see the provider's message. Repeating it will not help."},
	integration.ClassUnauthorized: {"could not be reached with the stored credential.", "The provider refused the credential. Check that the secret of this environment is current."},
	integration.ClassForbidden:    {"did not allow this.", "The credential lacks a permission for this call."},
	integration.ClassMissing:      {"does not have what was asked for.", "The resource is not there, or the credential may not see it."},
	integration.ClassConflict:     {"has a newer state of this.", "Read the current state and send the change again."},
	integration.ClassRejected:     {"did not accept the request.", "The provider refused the request for good; see its message."},
	integration.ClassLimited:      {"is receiving too many requests at the moment.", "The provider's rate limit is used up. Come again after the time in Retry-After."},
	integration.ClassUnavailable:  {"is not available at the moment.", "The provider failed. Its status page may say more."},
	integration.ClassTimeout:      {"did not answer in time.", "No answer came within the time the plan allows."},
	integration.ClassNetwork:      {"can't be reached at the moment.", "The connection to the provider failed."},
	integration.ClassBroken:       {"sent an answer that can't be understood.", "The answer is not what the provider's document promises."},
}

// explain fills in the code and the words of the failure's class.
func (d *Dialect) explain(f *integration.Failure) {
	w := wordsOf[f.Class]
	f.Code = "provider_" + string(f.Class)
	f.Message = d.name + " " + w.message
	f.Hint = w.hint
}
