package verify_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/verify"
)

// R5.2: a scheme that can't be right is refused when it is compiled, by field.
func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	type change func(*catalog.Verification)
	for want, c := range map[string]change{
		"scheme: \"\" is not":          func(v *catalog.Verification) { v.Scheme = "" },
		"scheme: \"hmacc\"":            func(v *catalog.Verification) { v.Scheme = "hmacc" },
		"claims:":                      func(v *catalog.Verification) { v.Claims = map[string]catalog.OneOrMore{"a": {"b"}} },
		"algorithm: \"sha256\"":        func(v *catalog.Verification) { v.Algorithm = "sha256" },
		"encoding: \"HEX\"":            func(v *catalog.Verification) { v.Encoding = "HEX" },
		"key_encoding: \"pem\"":        func(v *catalog.Verification) { v.KeyEncoding = "pem" },
		"key_encoding: \"base64_after": func(v *catalog.Verification) { v.KeyEncoding = "base64_after_prefix:" },
		"header: it must say":          func(v *catalog.Verification) { v.Header = nil },
		"header: path \"header:a b\"":  func(v *catalog.Verification) { v.Header = catalog.OneOrMore{"a b"} },
		"header: path \"yaml:a\"":      func(v *catalog.Verification) { v.Header = catalog.OneOrMore{"yaml:a"} },
		"may end in *":                 func(v *catalog.Verification) { v.Header = catalog.OneOrMore{"json:a*"} },
		"is not part of the request":   func(v *catalog.Verification) { v.Header = catalog.OneOrMore{"config:a"} },
		"must stand alone":             func(v *catalog.Verification) { v.Header = catalog.OneOrMore{"json:a[].b", "X"} },
		"{adyen_item} and a header":    func(v *catalog.Verification) { v.Header = catalog.OneOrMore{"json:a[].b"} },
		"timestamp_unit: \"\"":         func(v *catalog.Verification) { v.TimestampUnit = "" },
		"timestamp_unit: there is no": func(v *catalog.Verification) {
			v.TimestampHeader = ""
		},
		"param: names no element":      func(v *catalog.Verification) { v.TimestampHeader = "param:" },
		"names several times":          func(v *catalog.Verification) { v.TimestampHeader = "json:a[].b" },
		"ts_key is \"t\"":              func(v *catalog.Verification) { v.TimestampHeader = "param:x" },
		"parse: use only one":          func(v *catalog.Verification) { v.Parse.Prefix = "x" },
		"parse: list_sep":              func(v *catalog.Verification) { v.Parse.ListSep = "" },
		"parse: kv_sep and sig_keys":   func(v *catalog.Verification) { v.Parse.SigKeys = nil },
		"tolerance_s: -1":              func(v *catalog.Verification) { v.ToleranceS = -1 },
		"signs nothing of the request": func(v *catalog.Verification) { v.SignedContent = "{timestamp}" },
		"\"constant\" signs nothing":   func(v *catalog.Verification) { v.SignedContent = "constant" },
		"has a { without }":            func(v *catalog.Verification) { v.SignedContent = "{body" },
		"{secret} is for hash_concat":  func(v *catalog.Verification) { v.SignedContent = "{secret}{body}" },
		"would protect nothing":        func(v *catalog.Verification) { v.SignedContent = "{body}" },
		"must hold {sig} once":         func(v *catalog.Verification) { v.Format = "t={timestamp},v1=" },
		"disagree on where":            func(v *catalog.Verification) { v.Format = "v1={sig}" },
		"without a name and }":         func(v *catalog.Verification) { v.Format = "t={timestamp},v1={sig" },
	} {
		v := stripeScheme()
		c(&v)
		s, err := verify.Compile(v)
		if err == nil || s != nil || !strings.Contains(err.Error(), want) || errors.Is(err, verify.ErrUnsupported) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// A request that nothing can be verified of is told from a mistake.
func TestCompileTellsWhatCannotBeVerified(t *testing.T) {
	t.Parallel()
	v := stripeScheme()
	v.Scheme = "api_callback"
	if _, err := verify.Compile(v); !errors.Is(err, verify.ErrUnsupported) || !strings.HasPrefix(err.Error(), "scheme: ") {
		t.Errorf("api_callback: %v", err)
	}
}

// Every profile of the catalog that sends webhooks compiles, or says that nothing
// can be verified.
func TestCatalogCompiles(t *testing.T) {
	t.Parallel()
	all, err := catalog.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Webhooks == nil {
			continue
		}
		schemes := []catalog.Verification{p.Webhooks.Verify}
		for _, v := range p.Webhooks.Variants {
			schemes = append(schemes, v.Verify)
		}
		for _, v := range schemes {
			if _, err := verify.Compile(v); err != nil && !errors.Is(err, verify.ErrUnsupported) {
				t.Errorf("%s: %v", p.ID, err)
			}
		}
	}
}
