package draft

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport/sallyport/openapi"
)

// R8.2: every line of the thesaurus can be read, names a verb that choosing
// knows, and no word is taken for another because both have the same stem.
func TestThesaurus(t *testing.T) {
	t.Parallel()
	akin := set("attach announce bill subscribe reserve book annotate revise collect follow distribute email warn adjust open repeat protect receive connect appoint set react trigger respond move organize star review remind") // deeds that are said of their thing
	names := map[string]string{}                                                                                                                                                                                                  // stem of a thing in APIs, with the word
	forms := set("invoicing mail moderators moderator designer bill billing entry delivery scanned sharing category computer lobby brand posting lettering costing offering rank merchandise signing config invitation")          // of the word itself, or of one that means it
	things := map[string]string{}                                                                                                                                                                                                 // stem of every name of a thing
	whole := strings.Join(thesaurusTexts(), "\n")
	for part := range strings.SplitSeq(whole, "[things]\n") {
		part, _, _ = strings.Cut(part, "[deeds]\n")
		for line := range strings.Lines(part) {
			if name, _, ok := strings.Cut(line, "="); ok && line[0] != '#' {
				for _, w := range split(name) {
					things[stem(w)] = w
				}
			}
		}
	}
	deeds, entries := false, 0
	for line := range strings.Lines(whole) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] == '[' {
			deeds = line == "[deeds]"
			continue
		}
		left, right, ok := strings.Cut(line, "=")
		if !ok || strings.Contains(right, "=") {
			t.Errorf("%q has not one equals sign", line)
		}
		if len(split(left)) == 0 {
			t.Fatalf("%q says nothing on its left", line)
		}
		for meaning := range strings.SplitSeq(left, ",") {
			for i, w := range split(meaning) {
				if _, known := verbs[stem(w)]; deeds && i == 0 && !known {
					t.Errorf("%q is no verb that choosing knows", w)
				}
				if !deeds {
					names[stem(w)] = w
				}
			}
		}
		for phrase := range strings.SplitSeq(right, ",") {
			entries++
			words := phraseStems(phrase)
			if len(words) == 0 || words[0] == gap || words[len(words)-1] == gap {
				t.Errorf("%q of %q has nothing, or a gap at an end", phrase, left)
			}
			if w := split(phrase); !deeds && len(w) == 1 && !forms[w[0]] && things[words[0]] != "" && singular(things[words[0]]) != singular(w[0]) {
				t.Errorf("thing %q has the stem of the thing %q", w[0], things[words[0]])
			}
			if w := split(phrase); deeds && len(w) == 1 && names[words[0]] != "" && names[words[0]] != w[0] && !akin[w[0]] {
				t.Errorf("deed %q has the stem of the thing %q", w[0], names[words[0]])
			}
		}
	}
	if entries < 500 {
		t.Errorf("%d entries", entries)
	}
}

func TestSayingsIn(t *testing.T) {
	t.Parallel()
	for need, want := range map[string][]string{
		"give the buyer the money back": {"refund:give … back", "the", "buyer", "the", "money"},
		"let people know":               {"send:let … know", "people"},
		"throw away the paper":          {"delete:throw away", "the", "paper"},
		"give":                          {"give"},
		"let all of the many people of our town know": {"let", "all", "of", "the", "many", "people", "of", "our", "town", "know"},
	} {
		var got []string
		for _, s := range sayingsIn(split(need)) {
			if len(s.deeds) > 0 {
				s.text = s.deeds[0].verb + ":" + s.text
			}
			got = append(got, s.text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", need, got, want)
		}
	}
}

// The extract of WordNet can be read, and carries its licence.
func TestWordnet(t *testing.T) {
	t.Parallel()
	d, err := readWordnet(wordnetPacked)
	if err != nil || len(d.things) < 900 || len(d.deeds) < 50 {
		t.Fatalf("%d things, %d deeds: %v", len(d.things), len(d.deeds), err)
	}
	for word, verb := range d.deeds {
		if verbs[stem(verb)].kinds == nil && len(deedsOf(stem(verb))) == 0 {
			t.Errorf("%s means %s, which is no verb that choosing knows", word, verb)
		}
	}
	if _, err := readWordnet([]byte("no gzip")); err == nil {
		t.Error("garbage is read")
	}
}

// The generator of the extract keeps a list of the verbs; it is the one here.
func TestVerbsOfTheExtract(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("internal/wordnet/verbs.txt")
	if err != nil {
		t.Fatal(err)
	}
	for w := range strings.FieldsSeq(string(data)) {
		if _, ok := verbs[stem(w)]; !ok {
			t.Errorf("%s is no verb any more: make the extract again", w)
		}
	}
}

// Of a word, what the document has decides which meaning it takes; a word that
// is the document's own keeps its own.
func TestAdapt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ paths, need, named, not string }{
		{"/customers /invoices", "create a client", "customers", "invoices"},
		{"/contacts /invoices", "create a client", "contacts", "invoices"},
		{"/clients /customers", "create a client", "clients", "customers"},
	} {
		d := &openapi.Document{}
		for p := range strings.FieldsSeq(c.paths) {
			for _, method := range []string{"GET", "POST"} {
				d.Operations = append(d.Operations, openapi.Operation{ID: method + p, Method: method, Path: p})
			}
		}
		got := choose(d, c.need, nil)
		if got.byOp[got.op(t, "POST /"+c.named)] == nil || got.byOp[got.op(t, "POST /"+c.not)] != nil {
			t.Errorf("%s with %s: picked %v", c.need, c.paths, got.picks[0].op.Call())
		}
	}
}

func (c *chooser) op(t *testing.T, call string) *operation {
	t.Helper()
	for _, o := range c.index.ops {
		if o.Call() == call {
			return o
		}
	}
	t.Fatalf("no %s", call)
	return nil
}

// What strangers write neither stops choosing nor makes it pick anything that
// the document does not have.
func FuzzChoose(f *testing.F) {
	for _, s := range []string{"", "let let let know know", "give * back", "… “” (", "put to put to put", "a\x00b", strings.Repeat("give ", 400)} {
		f.Add(s)
	}
	d := &openapi.Document{Operations: []openapi.Operation{
		{ID: "a", Method: "POST", Path: "/customers"}, {ID: "b", Method: "GET", Path: "/customers/{id}"}, {ID: "c", Method: "PUT", Path: "/{x}:suspend"},
	}}
	f.Fuzz(func(t *testing.T, need string) {
		for _, o := range Find(d, need).Candidates {
			if _, ok := d.Operation(o.Call); !ok || o.Reason == "" {
				t.Errorf("%q: %+v", need, o)
			}
		}
	})
}
