package main

import (
	"context"
	"errors"
	"net/http"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/send"
	"github.com/sallyport/sallyport/verify"
	"github.com/sallyport/sallyport/verify/keys"
)

// guarded opens connections to one host each, never to a private address.
func guarded() http.RoundTripper {
	return keys.PerHost(func(host string) (http.RoundTripper, error) { return send.New(send.Config{Hosts: []string{host}}) })
}

// publishedKeys finds the keys that the provider publishes, at the hosts that its
// profile names and no others. It is nil where the provider publishes none.
func publishedKeys(facts *catalog.Webhooks, f verifyFlags) (verify.Keys, error) {
	hosts := keys.HostsOf(facts)
	switch {
	case len(hosts) == 0:
		return nil, nil //nolint:nilnil // no scheme asks for any
	case f.offline:
		return unasked{}, nil
	}
	transport := f.transport
	if transport == nil {
		transport = guarded()
	}
	return keys.New(keys.Config{Hosts: hosts, Transport: transport})
}

// unasked is where keys would be fetched without --offline.
type unasked struct{}

// Keys implements verify.Keys.
func (unasked) Keys(_ context.Context, need verify.Need) ([]verify.Key, error) {
	return nil, errors.New("with --offline nothing is fetched; get the key from " + need.URL + " and give it with --secret")
}
