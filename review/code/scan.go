package code

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/review"
)

// Options are what to look for, and where.
type Options struct {
	// Dir is the root of the code. Required.
	Dir string
	// Providers are those whose hosts and SDKs are looked for; none leaves out
	// what is about providers.
	Providers []*catalog.Profile
	// Adapters are the folders, relative to Dir, that may know a provider. Empty:
	// where a provider is known in one folder alone, that is its adapter; where in
	// several, the one that is named for the provider, else the one that knows it
	// best.
	Adapters []string
	// Now is today, for the dates of comments that ignore a rule. Zero lets none
	// be past.
	Now time.Time
	// NoTypes reads Go by its syntax alone, which is faster and finds less.
	NoTypes bool
}

// Report is what was found.
type Report struct {
	Findings []review.Finding
	// Ignores are the comments that ask for a suppression; review.Result.Suppress
	// takes them.
	Ignores []review.Ignore
	// Files is how many files were read; Skipped how many were not, being larger
	// than 1 MB or no text.
	Files, Skipped int
	// Notes say what could not be looked at as it should be, and why.
	Notes []string
}

// maxFile is the size of the largest file that is read. Larger ones are data or
// bundles.
const maxFile = 1 << 20

// ErrNoFolder is what Scan answers when Dir is not a folder.
var ErrNoFolder = errors.New("not a folder")

// Scan looks through a tree. The order of the findings is by rule, then by file
// and line, whatever the order of the work.
func Scan(ctx context.Context, o Options) (*Report, error) {
	if info, err := os.Stat(o.Dir); err != nil {
		return nil, fmt.Errorf("scanning code: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("scanning code: %s: %w", o.Dir, ErrNoFolder)
	}
	tree, err := list(ctx, o.Dir)
	if err != nil {
		return nil, fmt.Errorf("scanning code: %w", err)
	}
	s := &scan{options: o, tree: tree, names: namesOf(o.Providers), report: &Report{Notes: tree.notes}}
	if err := s.files(ctx); err != nil {
		return nil, err
	}
	s.environment()
	if err := s.golang(ctx); err != nil {
		return nil, err
	}
	s.adapters()
	s.calls()
	s.rest()
	slices.SortStableFunc(s.report.Findings, func(a, b review.Finding) int {
		return cmp.Or(strings.Compare(a.Rule, b.Rule), strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), strings.Compare(a.Message, b.Message))
	})
	slices.SortFunc(s.report.Ignores, func(a, b review.Ignore) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return s.report, nil
}

// scan is one run.
type scan struct {
	options Options
	tree    *tree
	names   *names

	mu       sync.Mutex
	report   *Report
	mentions []mention        // of providers, in code that is not a test
	waiting  []review.Finding // what the languages' own checks found
	asked    map[string]int   // rule → how many things it was asked about
	sources  []source         // Go files, for the syntax when types can't be had
}

// source is a file that was read.
type source struct {
	name string // relative to Dir, with slashes
	text []byte
	lang *language // nil: no programming language known here
	test bool      // tests and samples: what stands there runs nowhere
	code []byte    // text with its comments blanked out; nil without lang
}

// files reads every file, on every processor.
func (s *scan) files(ctx context.Context) error {
	s.asked = map[string]int{}
	work := make(chan string)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for name := range work {
				s.file(name)
			}
		})
	}
	var err error
	for _, name := range s.tree.files {
		if err = ctx.Err(); err != nil {
			break
		}
		work <- name
	}
	close(work)
	workers.Wait()
	return err
}

func (s *scan) file(name string) {
	text, ok := read(filepath.Join(s.options.Dir, filepath.FromSlash(name)))
	if !ok {
		s.mu.Lock()
		s.report.Skipped++
		s.mu.Unlock()
		return
	}
	src := source{name: name, text: text, lang: languageOf(name), test: isTest(name)}
	if src.lang != nil {
		src.code = src.lang.blank(text)
	}
	secrets := findSecrets(src)
	ignores := review.Ignores(s.path(name), string(text))
	marks := findMarks(src)
	mentions := s.names.find(src)
	waiting, asked := s.patterns(src, mentions)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Files++
	s.report.Ignores = append(s.report.Ignores, ignores...)
	for _, hit := range secrets {
		s.secret(src, hit)
	}
	for _, hit := range marks {
		s.add(src, "R0.8", hit.at, hit.what)
	}
	if !src.test {
		s.mentions = append(s.mentions, mentions...)
	}
	s.waiting = append(s.waiting, waiting...)
	for rule, n := range asked {
		s.asked[rule] += n
	}
	if src.lang == golang {
		s.sources = append(s.sources, src)
	}
}

// path is a file's name as findings and comments have it: with Dir before it.
func (s *scan) path(name string) string {
	return filepath.ToSlash(filepath.Join(s.options.Dir, filepath.FromSlash(name)))
}

// finding is a failure at a byte of a file. Its fingerprint is made of the line
// it stands on, so that it stays the same one when lines move.
func (s *scan) finding(src source, rule string, at int, message string) review.Finding {
	f := review.NewFinding(rule, review.Fail, message)
	f.File = s.path(src.name)
	f.Line, f.Column = position(src.text, at)
	f.Fingerprint = review.Fingerprint(rule, src.name, strings.Join(strings.Fields(lineAt(src.text, at)), " "))
	return f
}

// add adds a failure; the lock is held.
func (s *scan) add(src source, rule string, at int, message string) {
	s.report.Findings = append(s.report.Findings, s.finding(src, rule, at, message))
}

// rest says of each rule that found nothing what it was asked of.
func (s *scan) rest() {
	said := map[string]bool{}
	for _, f := range s.report.Findings {
		said[f.Rule] = true
	}
	files := plural(s.report.Files, "file")
	for _, one := range []struct {
		rule, asked, nothing string
		always               bool
	}{
		{"R0.8", "in " + files, "", true},
		{"R2.1", "among " + files, "", true},
		{"R7.2.1", "in " + files, "", true},
		{"R0.6", "%d places name a provider, each in its adapter", "no code names a provider of these plans", false},
		{"R7.2.2", "%d request handlers were looked at, none of which waits for a provider", "no request handler was found beside a provider", false},
		{"R7.2.3", "%d provider calls, each error looked at", "no provider call whose error could be thrown away was found", false},
		{"R7.2.4", "%d webhook handlers, none of which calls a provider", "no webhook handler was found", false},
		{"R7.2.5", "%d webhook handlers, each verifying", "no webhook handler was found", false},
	} {
		if said[one.rule] {
			continue
		}
		f := review.NewFinding(one.rule, review.NotApplicable, one.nothing)
		n := s.asked[one.rule]
		switch {
		case one.always:
			f = review.NewFinding(one.rule, review.Pass, "nothing found "+one.asked)
		case n > 0:
			f = review.NewFinding(one.rule, review.Pass, fmt.Sprintf(one.asked, n))
		}
		f.File = filepath.ToSlash(s.options.Dir)
		s.report.Findings = append(s.report.Findings, f)
	}
}

// read reads a file that is text and not too large. Links are not followed, so
// that a circle of them is none.
func read(path string) (text []byte, ok bool) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, false
	}
	text, err = os.ReadFile(path)
	if err != nil || bytes.IndexByte(text[:min(len(text), 8000)], 0) >= 0 {
		return nil, false
	}
	return text, true
}

// position is the place of a byte, both counted from 1; the column in bytes.
func position(text []byte, at int) (line, column int) {
	before := text[:min(at, len(text))]
	return 1 + bytes.Count(before, []byte("\n")), at - (bytes.LastIndexByte(before, '\n') + 1) + 1
}

// lineAt is the line that a byte stands on, without its end.
func lineAt(text []byte, at int) string {
	at = min(at, len(text))
	start := bytes.LastIndexByte(text[:at], '\n') + 1
	end := bytes.IndexByte(text[at:], '\n')
	if end < 0 {
		end = len(text) - at
	}
	return string(text[start : at+end])
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
