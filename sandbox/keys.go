package sandbox

import (
	"crypto/sha256"
	"fmt"
	"net/http"
)

// keys remembers the answers that idempotency keys got. It belongs to the
// sandbox's lock.
type keys struct {
	byKey map[string]*kept
	order []string // oldest first
}

type kept struct {
	request [sha256.Size]byte
	answer  *answer
}

func newKeys() *keys { return &keys{byKey: map[string]*kept{}} }

// begin gives the answer that the key already got, or refuses the key for a
// request that differs from its first one. Both nil: go ahead, and end.
func (k *keys) begin(c *call) (*answer, *problem) {
	if len(c.key) > 255 {
		return nil, &problem{kind: kindIdempotency, message: "Idempotency keys may have at most 255 characters."}
	}
	old := k.byKey[c.key]
	switch {
	case old == nil:
		return nil, nil
	case old.request != fingerprint(c):
		return nil, &problem{
			kind:    kindIdempotency,
			message: fmt.Sprintf("Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than %s.", describe(c.key)),
		}
	}
	again := *old.answer
	again.header = again.header.Clone()
	again.set("Idempotent-Replayed", "true")
	return &again, nil
}

// end remembers the key's answer. What was refused before it had an effect may
// be corrected and sent with the same key.
func (k *keys) end(c *call, a *answer) {
	if a.status == http.StatusBadRequest {
		return
	}
	k.byKey[c.key] = &kept{request: fingerprint(c), answer: a}
	k.order = append(k.order, c.key)
	if len(k.order) > maxKeys {
		delete(k.byKey, k.order[0])
		k.order = dropFirst(k.order)
	}
}

func fingerprint(c *call) [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s", c.request.Method, c.request.URL.RequestURI(), c.body))
}
