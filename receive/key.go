package receive

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sallyport/sallyport/extract"
)

// What an external id begins with that we made because the provider gave none.
// An id of the provider that begins like one of them is hashed as well, so that
// none can be mistaken for another.
const (
	hashedID    = "sha256/id:"    // of an id that can't be kept as it is, or that is not enough
	hashedParts = "sha256/parts:" // of the values that together tell events apart
	hashedBody  = "sha256/body:"  // of the bytes
	once        = "once:"         // of no other request: the same bytes may be news
)

var ownKeys = [...]string{hashedID, hashedParts, hashedBody, once}

// maxName bounds ids, types, subjects and tenants; nothing longer is one.
const maxName = 512

// identity is how events of a door are told apart (R5.4).
type identity struct {
	ids, parts []extract.Path
	// whole says that items are read as requests of their own, so that every path
	// reads the item. Otherwise those with [] do, and the others read what all
	// items share.
	whole      bool
	indistinct bool
}

// key is what a repeat of the event has as well: the provider's id; else a hash
// over the parts that tell events apart; else over the bytes. Where only some of
// the parts are there, the bytes join them: taking a repeat for news costs one
// more delivery, taking news for a repeat would lose it. ours is an id that
// nothing else has; position counts the items of a batch from 1, 0 for none.
func (i *identity) key(in *extract.Request, ours string, position int) string {
	for _, p := range i.ids {
		id, ok := p.Value(in)
		if !ok || id == "" {
			continue
		}
		if position > 0 && !i.ofItem(p) {
			id += "#" + strconv.Itoa(position)
		}
		return externalID(id)
	}
	sum, found, missing, shared := sha256.New(), false, false, true
	for _, p := range i.parts {
		part, ok := p.Value(in)
		if found, missing = found || ok, missing || !ok; ok {
			write(sum, part)
			shared = shared && !i.ofItem(p)
		} else {
			write(sum, "")
		}
		sum.Write([]byte{map[bool]byte{true: 1}[ok]})
	}
	switch {
	case found && !missing:
		if position > 0 && shared {
			write(sum, strconv.Itoa(position))
		}
		return hashedParts + hex.EncodeToString(sum.Sum(nil))
	case found:
		sum.Write(in.Body)
		return hashedParts + hex.EncodeToString(sum.Sum(nil))
	case i.indistinct:
		return once + ours
	}
	return hashOf(hashedBody, string(in.Body))
}

// ofItem reports whether the value differs between the items of a batch.
func (i *identity) ofItem(p extract.Path) bool {
	return i.whole || strings.Contains(p.String(), "[]")
}

// externalID is the provider's id as it is kept.
func externalID(id string) string {
	if len(id) > maxName || !utf8.ValidString(id) || strings.ContainsRune(id, 0) {
		return hashOf(hashedID, id)
	}
	for _, own := range ownKeys {
		if strings.HasPrefix(id, own) {
			return hashOf(hashedID, id)
		}
	}
	return id
}

// told is the key of an item whose key another item of the same request has, with
// other bytes: an id that is not enough.
func told(key string, body []byte) string { return hashOf(hashedID, key+"\x00"+string(body)) }

func hashOf(prefix, text string) string {
	sum := sha256.Sum256([]byte(text))
	return prefix + hex.EncodeToString(sum[:])
}

// write puts a part and its length, so that no two lists of parts are alike.
func write(sum hash.Hash, part string) {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(part)))
	sum.Write(length[:])
	sum.Write([]byte(part))
}
