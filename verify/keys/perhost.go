package keys

import (
	"fmt"
	"net/http"
	"sync"
)

// maxHosts bounds the transports that PerHost opens. Patterns such as
// sns.*.amazonaws.com stand for a few dozen hosts.
const maxHosts = 64

// PerHost is a transport for Config that opens one for each host when it is first
// asked. It lets a transport that is made for exact hosts serve patterns: the
// Fetcher has checked the host against Config.Hosts before.
func PerHost(open func(host string) (http.RoundTripper, error)) http.RoundTripper {
	return &perHost{open: open, transports: map[string]http.RoundTripper{}}
}

type perHost struct {
	open       func(host string) (http.RoundTripper, error)
	mu         sync.Mutex
	transports map[string]http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (p *perHost) RoundTrip(r *http.Request) (*http.Response, error) {
	t, err := p.transport(r.URL.Host)
	if err != nil {
		return nil, err
	}
	return t.RoundTrip(r)
}

func (p *perHost) transport(host string) (http.RoundTripper, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.transports[host]; t != nil {
		return t, nil
	}
	if len(p.transports) >= maxHosts {
		return nil, fmt.Errorf("keys were fetched from %d hosts already; %s is one too many", maxHosts, host)
	}
	t, err := p.open(host)
	if err != nil {
		return nil, err
	}
	p.transports[host] = t
	return t, nil
}
