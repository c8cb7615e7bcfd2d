package send

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// reserved are networks that no public service answers from, beyond those
// netip knows by name. From the IANA special-purpose address registries
// (RFC 6890 and its updates).
var reserved = prefixes(
	"0.0.0.0/8",       // this network
	"100.64.0.0/10",   // shared address space of carriers (RFC 6598)
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // 6to4 relays, retired
	"198.18.0.0/15",   // benchmarking
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"240.0.0.0/4",     // reserved, and the broadcast address
	"100::/64",        // discard
	"2001::/23",       // protocol assignments, Teredo among them
	"2001:db8::/32",   // documentation
	"3fff::/20",       // documentation
	"5f00::/16",       // segment routing
	"fec0::/10",       // site-local, retired
	"64:ff9b:1::/48",  // local translation of IPv4
)

// Networks that carry an IPv4 address inside an IPv6 one.
var (
	translated = netip.MustParsePrefix("64:ff9b::/96") // NAT64 (RFC 6052): the last four bytes
	sixToFour  = netip.MustParsePrefix("2002::/16")    // 6to4 (RFC 3056): bytes 2 to 5
	compatible = netip.MustParsePrefix("::/96")        // IPv4-compatible, retired: the last four bytes
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// metadata are addresses at which clouds hand out credentials, beside the
// link-local ones. No plan has business there, not even in development. From
// the clouds' documentation: AWS (instance metadata over IPv6), Google (the
// same), Azure (the platform's own address, which is a public one), Alibaba and
// Oracle (in reserved networks).
var metadata = []netip.Addr{
	netip.MustParseAddr("100.100.100.200"),
	netip.MustParseAddr("192.0.0.192"),
	netip.MustParseAddr("fd00:ec2::254"),
	netip.MustParseAddr("fd20:ce::254"),
	netip.MustParseAddr("168.63.129.16"),
}

// forbidden says why an address must not be connected to; empty when it may.
func forbidden(addr netip.Addr, allowPrivate bool) string {
	addr = addr.WithZone("").Unmap()
	if why := hostless(addr); why != "" {
		return why
	}
	switch {
	case addr.IsLoopback():
		return unless(allowPrivate, "this machine itself")
	case addr.IsPrivate():
		return unless(allowPrivate, "a private network")
	case !addr.IsValid() || !addr.IsGlobalUnicast():
		return "no public address"
	}
	for _, p := range reserved {
		if p.Contains(addr) {
			return "a reserved network (" + p.String() + ")"
		}
	}
	if addr.Is4() {
		return ""
	}
	if inner, ok := carried(addr); ok {
		return forbidden(inner, allowPrivate)
	}
	return ""
}

// hostless says why nobody has business at an address, wherever the name came
// from; empty when somebody may.
func hostless(addr netip.Addr) string {
	switch {
	case slices.Contains(metadata, addr):
		return "where a cloud keeps its credentials"
	case addr.IsLinkLocalUnicast(), addr.IsLinkLocalMulticast(), addr.IsInterfaceLocalMulticast():
		return "a link-local address"
	case addr.IsMulticast():
		return "a multicast address"
	case addr.IsUnspecified():
		return "no address of a host"
	}
	return ""
}

// OwnAddress is the guard of connections to what the owner of the gateway named
// himself, such as a destination of events: it may be on this machine or in a
// private network, but a name must not lead to where a cloud keeps its
// credentials. It is the ControlContext of a net.Dialer, and so looks at the
// address that is dialled, whatever the name resolved to before.
func OwnAddress(_ context.Context, network, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" {
		return refuse("egress_address", fmt.Errorf("egress refused: %s %q is no address", network, address))
	}
	addr := at.Addr().WithZone("").Unmap()
	why := hostless(addr)
	if inner, ok := carried(addr); ok && why == "" && !addr.IsLoopback() {
		why = hostless(inner)
	}
	if why != "" {
		return refuse("egress_address", fmt.Errorf("egress refused: the host resolves to %s, %s", at.Addr(), why))
	}
	return nil
}

// carried is the IPv4 address inside an IPv6 one, where a network between would
// send the packet there.
func carried(addr netip.Addr) (inner netip.Addr, ok bool) {
	b := addr.As16()
	switch {
	case translated.Contains(addr), compatible.Contains(addr), isISATAP(b):
		return netip.AddrFrom4([4]byte(b[12:16])), true
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

// isISATAP recognises the interface identifier of RFC 5214, section 6.1, which
// ends in an IPv4 address.
func isISATAP(b [16]byte) bool {
	return b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}

func unless(allowed bool, why string) string {
	if allowed {
		return ""
	}
	return why
}
