package send

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
)

// parseHost reads a host that may be called, with a port or without. There is
// one way to write each host: a name in ASCII letters, or an address as
// net/netip prints it. The spellings that programs read differently
// (2130706433, 0177.0.0.1, 127.1, fullwidth digits, a dot at the end) are
// refused, so that the list, the resolver and the provider's certificate can't
// mean different hosts.
func parseHost(host string) (*url.URL, error) {
	u, err := url.Parse("//" + host)
	if err != nil || u.Host != host || u.Hostname() == "" {
		return nil, fmt.Errorf("%q is no host; write it as in a URL, without scheme and path", host)
	}
	if err := spelling(u.Hostname()); err != nil {
		return nil, fmt.Errorf("%q is no host: %w", host, err)
	}
	return u, nil
}

func spelling(name string) error {
	if addr, err := netip.ParseAddr(name); err == nil {
		if addr.Zone() != "" {
			return errors.New("a zone is of this machine alone; leave it out")
		}
		return nil
	}
	if len(name) > 253 {
		return errors.New("a name has 253 letters at most (RFC 1035)")
	}
	last := ""
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 {
			return errors.New("between its dots stand 1 to 63 letters (RFC 1035), and none at the end")
		}
		for i := range len(label) {
			if c := label[i]; !letter(c) && !digit(c) && c != '-' && c != '_' {
				return errors.New("a name has the letters a to z, digits and hyphens; write others as xn-- (RFC 5891)")
			}
		}
		last = label
	}
	if numeric(last) {
		return errors.New("it ends in a number and is no address; write an address as four decimal numbers")
	}
	return nil
}

// numeric reports whether a label would make programs take the whole for an
// IPv4 address (WHATWG URL, "ends in a number").
func numeric(label string) bool {
	if rest, ok := strings.CutPrefix(strings.ToLower(label), "0x"); ok {
		return strings.Trim(rest, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func digit(c byte) bool { return c >= '0' && c <= '9' }
