package deliver

import (
	"net"
	"net/http"
)

// TransportResolving is the transport of deliveries, with another look-up of
// names.
func TransportResolving(r *net.Resolver) http.RoundTripper {
	d := newDialer()
	d.Resolver = r
	return transportBy(d)
}
