package catalog_test

import (
	"errors"
	"testing"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/classify"
	"github.com/sallyport/sallyport/handshake"
	"github.com/sallyport/sallyport/paginate"
	"github.com/sallyport/sallyport/verify"
)

// R5.2, R5.3, R4.9: what reads a profile can read every one: signature schemes
// compile or are of a kind that nothing can verify, handshakes and dialects of
// errors compile.
func TestReadersTakeEveryProfile(t *testing.T) {
	t.Parallel()
	for _, p := range profiles(t) {
		if _, err := classify.Compile(p); err != nil {
			t.Errorf("%s: errors: %v", p.ID, err)
		}
		if p.Webhooks == nil {
			continue
		}
		schemes := map[string]catalog.Verification{"verify": p.Webhooks.Verify}
		for _, v := range p.Webhooks.Variants {
			schemes["variant "+v.Name] = v.Verify
		}
		for name, scheme := range schemes {
			if _, err := verify.Compile(scheme); err != nil && !errors.Is(err, verify.ErrUnsupported) {
				t.Errorf("%s: webhooks: %s: %v", p.ID, name, err)
			}
		}
		if _, err := handshake.Compile(p.Webhooks.Handshakes); err != nil {
			t.Errorf("%s: webhooks.handshakes: %v", p.ID, err)
		}
	}
}

// R4.15: how many of the known styles say enough for a program to go through a
// list; the number may rise, not fall.
func TestListsThatCanBeWalked(t *testing.T) {
	t.Parallel()
	can, known := 0, 0
	for _, p := range profiles(t) {
		if p.Pagination.Style == "" {
			continue
		}
		known++
		if _, err := paginate.Of(p); err != nil {
			t.Log(err)
			continue
		}
		can++
	}
	t.Logf("%d of %d", can, known)
	if can < 116 {
		t.Errorf("%d of %d lists can be gone through, 116 could before", can, known)
	}
}
