package needs

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/sallyport/sallyport/openapi"
)

// Task is something that people integrate a provider for, said in two ways.
type Task struct {
	ID       string   `yaml:"id"`
	Provider string   `yaml:"provider"`
	Source   string   `yaml:"source"` // where the provider describes the task
	Own      string   `yaml:"own"`    // in the provider's nouns
	Lay      string   `yaml:"lay"`    // in the words of somebody who never read its documentation
	Pick     []string `yaml:"pick"`   // operations that have to be picked; "A | B" is either
	Extra    []string `yaml:"extra"`  // operations that may be picked as well
	HeldOut  bool     `yaml:"held_out"`
	Late     bool     `yaml:"late"` // written when the rules were finished

	part Part // by its file; empty for those of needs.yaml, which say it themselves
}

// Wording of a task.
type Wording string

// The wordings.
const (
	Own Wording = "own nouns"
	Lay Wording = "lay words"
)

// Need is the task in one of its wordings.
func (t Task) Need(w Wording) string {
	if w == Lay {
		return t.Lay
	}
	return t.Own
}

// Set is the tasks with the documents that they are about.
type Set struct {
	Tasks     []Task
	Documents map[string]*openapi.Document // by provider
}

// Load reads the tasks and documents of a folder: needs.yaml, development.yaml,
// tickets.yaml, fresh.yaml and documents/PROVIDER.json.gz. It fails when a task names an operation that
// its document does not have, or is held out against the hash of its id.
func Load(folder string) (*Set, error) {
	s := &Set{Documents: map[string]*openapi.Document{}}
	for _, name := range []string{"needs.yaml", "development.yaml", "tickets.yaml", "fresh.yaml"} {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			return nil, err
		}
		var tasks []Task
		d := yaml.NewDecoder(bytes.NewReader(data))
		d.KnownFields(true)
		if err := d.Decode(&tasks); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for i := range tasks {
			switch part := Part(strings.TrimSuffix(name, ".yaml")); part {
			case Development, Tickets, Fresh:
				tasks[i].part = part
			}
		}
		s.Tasks = append(s.Tasks, tasks...)
	}
	for _, t := range s.Tasks {
		if s.Documents[t.Provider] == nil {
			packed, err := os.ReadFile(filepath.Join(folder, "documents", t.Provider+".json.gz"))
			if err != nil {
				return nil, err
			}
			x, err := Unpack(packed)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", t.Provider, err)
			}
			s.Documents[t.Provider] = x.Document()
		}
		if err := t.check(s.Documents[t.Provider]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (t Task) check(d *openapi.Document) error {
	if !t.Late && t.part == "" && t.HeldOut != heldOut(t.ID) {
		return fmt.Errorf("%s: held_out must be %v, as the hash of the id says", t.ID, heldOut(t.ID))
	}
	for _, call := range slices.Concat(t.Pick, t.Extra) {
		for either := range strings.SplitSeq(call, " | ") {
			if _, ok := d.Operation(either); !ok {
				return fmt.Errorf("%s: the document of %s has no %s", t.ID, t.Provider, either)
			}
		}
	}
	return nil
}

func heldOut(id string) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // never fails
	return h.Sum32()&1 == 1
}

// Choice is what was chosen for a need.
type Choice struct {
	Picked, Shown []string // calls; what is picked is shown as well
}

// first of what is picked, then of what is shown beside it.
func (c Choice) first(n int) []string {
	list := slices.Clone(c.Picked)
	for _, call := range c.Shown {
		if !slices.Contains(list, call) {
			list = append(list, call)
		}
	}
	return list[:min(n, len(list))]
}

// Figures of a group of needs.
type Figures struct {
	Needs, Known        int // needs, and operations that have to be picked
	Picked, Shown       int // of Known
	FirstFew            int // of Known, among the first five: what is picked, then what is shown
	Chosen, Fine, Extra int // operations picked in all; known or acceptable; the rest
	Whole               int // needs with everything picked
	Missed              []string
}

// Add counts the choice for one need.
func (f *Figures) Add(t Task, w Wording, c Choice) {
	f.Needs++
	whole := true
	fine := map[string]bool{}
	for _, call := range t.Pick {
		f.Known++
		eithers := strings.Split(call, " | ")
		in := func(list []string) bool {
			return slices.ContainsFunc(eithers, func(e string) bool { return slices.Contains(list, e) })
		}
		for _, e := range eithers {
			fine[e] = true
		}
		shown := in(c.Shown)
		if shown {
			f.Shown++
		}
		if in(c.first(firstFew)) {
			f.FirstFew++
		}
		if in(c.Picked) {
			f.Picked++
			continue
		}
		whole = false
		f.Missed = append(f.Missed, fmt.Sprintf("%s: %q: %s not picked, shown %v", t.ID, t.Need(w), call, shown))
	}
	for _, call := range t.Extra {
		fine[call] = true
	}
	if whole {
		f.Whole++
	}
	f.Chosen += len(c.Picked)
	for _, call := range c.Picked {
		if fine[call] {
			f.Fine++
		} else {
			f.Extra++
		}
	}
}

// Recall is the share of the known operations that were picked.
func (f *Figures) Recall() float64 { return share(f.Picked, f.Known) }

// ShownRecall is the share of the known operations that were at least shown.
func (f *Figures) ShownRecall() float64 { return share(f.Shown, f.Known) }

// FirstRecall is the share of the known operations that are among the first
// five.
func (f *Figures) FirstRecall() float64 { return share(f.FirstFew, f.Known) }

// Precision is the share of what was picked that is known or acceptable.
func (f *Figures) Precision() float64 { return share(f.Fine, f.Chosen) }

func share(n, of int) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}

// String is one line of a report.
func (f *Figures) String() string {
	return fmt.Sprintf("%d needs, %d known operations: recall %.2f picked, %.2f in the first five, %.2f shown; precision %.2f at %.1f operations a need; %d needs whole",
		f.Needs, f.Known, f.Recall(), f.FirstRecall(), f.ShownRecall(), f.Precision(), float64(f.Chosen)/float64(max(1, f.Needs)), f.Whole)
}

// Group of needs that are reported together.
type Group struct {
	Wording Wording
	Part    Part
}

// Part of the tasks.
type Part string

// The parts.
const (
	Tuned       Part = "tuned"       // the first rules were tuned on these
	Development Part = "development" // the rules for lay words were tuned on these
	HeldOut     Part = "held out"    // set aside before any tuning
	Late        Part = "late"        // written when the first rules were finished
	Tickets     Part = "tickets"     // as people write them for developers; the rules for such were tuned on these
	Fresh       Part = "fresh"       // as tickets, written apart from the rules, with only the documents at hand
)

func (t Task) of() Part {
	switch {
	case t.part != "":
		return t.part
	case t.Late:
		return Late
	case t.HeldOut:
		return HeldOut
	}
	return Tuned
}

// Groups in the order of a report.
var Groups = []Group{{Own, Tuned}, {Lay, Tuned}, {Own, Development}, {Lay, Development}, {Own, HeldOut}, {Lay, HeldOut}, {Own, Late}, {Lay, Late}, {Own, Tickets}, {Lay, Tickets}, {Own, Fresh}, {Lay, Fresh}}

func (g Group) String() string { return string(g.Part) + ", " + string(g.Wording) }

// Measure chooses for every need of a group.
func (s *Set) Measure(g Group, choose func(*openapi.Document, string) Choice) *Figures {
	f := &Figures{}
	for _, t := range s.Tasks {
		if t.of() == g.Part {
			f.Add(t, g.Wording, choose(s.Documents[t.Provider], t.Need(g.Wording)))
		}
	}
	return f
}
