package reconcile

import "strings"

// address is where a service's webhooks are received.
func address(publicURL, service string) string {
	return strings.TrimSuffix(publicURL, "/") + "/api/webhooks/" + service
}
