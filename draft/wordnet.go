package draft

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the extract of WordNet
	"io"
	"strings"
	"sync"
)

// Words of everyday English with the words of APIs that WordNet 3 gives for
// them, made by draft/internal/wordnet. The licence stands at its beginning.
//
//go:embed wordnet.txt.gz
var wordnetPacked []byte

// dictionary is what the extract says: by stem, the stems of what a thing may
// mean, and of what a deed may mean the verb.
type dictionary struct {
	things map[string][]string
	deeds  map[string]string
	// glosses are the stems of the words that explain a thing, with its name in
	// stems.
	glosses []gloss
}

type gloss struct{ name, words []string }

// wordnet is read when the first word is not understood otherwise. A broken
// extract gives an empty dictionary; a test reads it whole.
var wordnet = sync.OnceValue(func() dictionary {
	d, _ := readWordnet(wordnetPacked)
	return d
})

func readWordnet(packed []byte) (dictionary, error) {
	d := dictionary{things: map[string][]string{}, deeds: map[string]string{}}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return d, err
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return d, err
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 3 || f[0] == "#" {
			continue
		}
		switch s := stem(f[1]); f[0] {
		case "g":
			d.glosses = append(d.glosses, gloss{stemAll(split(f[1])), stemAll(f[2:])})
		case "n":
			d.things[s] = append(d.things[s], stemAll(f[2:])...)
		case "v":
			if d.deeds[s] == "" {
				d.deeds[s] = f[2]
			}
		}
	}
	return d, nil
}
