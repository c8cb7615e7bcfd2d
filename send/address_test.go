package send

import (
	"net/netip"
	"strings"
	"testing"
)

func TestForbidden(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		address string
		public  bool // may be called in production
		private bool // may be called when private networks are allowed
	}{
		{"1.1.1.1", true, true},
		{"2606:4700:4700::1111", true, true},
		{"127.0.0.1", false, true},
		{"127.9.9.9", false, true},
		{"::1", false, true},
		{"10.0.0.1", false, true},
		{"172.16.0.1", false, true},
		{"192.168.1.1", false, true},
		{"fd00:ec2::1", false, true},
		{"fd00:ec2::254", false, false},
		{"fd20:ce::254", false, false},
		{"168.63.129.16", false, false},
		{"::ffff:168.63.129.16", false, false},
		{"100.100.100.200", false, false},
		{"192.0.0.192", false, false},
		{"2606:4700::5efe:10.0.0.1", false, true},
		{"2606:4700::200:5efe:169.254.169.254", false, false},
		{"2606:4700::5efe:1.1.1.1", true, true},
		{"::ffff:10.0.0.1", false, true},
		{"64:ff9b::10.0.0.1", false, true},
		{"64:ff9b::1.1.1.1", true, true},
		{"2002:7f00:1::", false, true},
		{"2002:101:101::", true, true},
		{"::10.0.0.1", false, true},
		{"169.254.169.254", false, false},
		{"::ffff:169.254.169.254", false, false},
		{"64:ff9b::169.254.169.254", false, false},
		{"fe80::1%eth0", false, false},
		{"0.0.0.0", false, false},
		{"::", false, false},
		{"0.1.2.3", false, false},
		{"100.64.0.1", false, false},
		{"198.18.0.1", false, false},
		{"224.0.0.1", false, false},
		{"255.255.255.255", false, false},
		{"ff02::1", false, false},
		{"2001:db8::1", false, false},
		{"2001:0:1::1", false, false},
		{"fec0::1", false, false},
	} {
		addr := netip.MustParseAddr(c.address)
		if why := forbidden(addr, false); (why == "") != c.public {
			t.Errorf("%s in production: %q", c.address, why)
		}
		if why := forbidden(addr, true); (why == "") != c.private {
			t.Errorf("%s with private networks allowed: %q", c.address, why)
		}
	}
}

// R5.8: what the owner named himself may be private, and still not a cloud's
// metadata.
func TestOwnAddress(t *testing.T) {
	t.Parallel()
	for address, fine := range map[string]bool{
		"127.0.0.1:80": true, "[::1]:80": true, "10.0.0.1:80": true, "100.64.0.1:80": true, "1.1.1.1:80": true, "[fd00::1]:80": true,
		"169.254.169.254:80": false, "[fe80::1%lo]:80": false, "[::ffff:169.254.169.254]:80": false, "[64:ff9b::a9fe:a9fe]:80": false,
		"[2002:a9fe:a9fe::]:80": false, "[fd00:ec2::254]:80": false, "168.63.129.16:80": false, "100.100.100.200:80": false, "192.0.0.192:80": false,
		"224.0.0.1:80": false, "0.0.0.0:80": false, "[::]:80": false, "nonsense": false,
	} {
		network := "tcp4"
		if strings.HasPrefix(address, "[") {
			network = "tcp6"
		}
		if err := OwnAddress(t.Context(), network, address, nil); (err == nil) != fine {
			t.Errorf("%s: %v", address, err)
		}
	}
	if OwnAddress(t.Context(), "unix", "/run/x.sock", nil) == nil {
		t.Error("a socket in the file system is no host")
	}
}

func FuzzForbidden(f *testing.F) {
	f.Add([]byte{127, 0, 0, 1})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		addr, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		plain := addr.Unmap()
		inside := plain.IsPrivate() || plain.IsLoopback() || plain.IsLinkLocalUnicast() || plain.IsMulticast()
		if inside && forbidden(addr, false) == "" {
			t.Errorf("%s may be called", addr)
		}
		if forbidden(addr, true) != "" && forbidden(addr, false) == "" {
			t.Errorf("%s is allowed in production and not in development", addr)
		}
	})
}
