package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"charm.land/huh/v2"

	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/plan"
)

// errNothingWritten ends a command that a person broke off.
var errNothingWritten = errors.New("nothing was written")

// interview asks what only a person knows: first what is used, then how. It
// returns the input with the answers, from which the plan is written again.
func (t *terminal) interview(ctx context.Context, input draft.Input, file string, existing []byte) (draft.Input, error) {
	var old *plan.Plan
	if len(existing) > 0 {
		var err error
		if old, err = plan.Parse(file, existing, nil); err != nil {
			return input, err
		}
	}
	for _, round := range []func(draft.Question) bool{
		func(q draft.Question) bool { return q.Kind == draft.Tick },
		func(q draft.Question) bool { return q.Kind != draft.Tick },
	} {
		fresh, report, err := draft.Write(input)
		if err != nil {
			return input, err
		}
		var fields []*field
		for _, q := range draft.Unsettled(report.Questions, old, fresh) {
			if round(q) {
				fields = append(fields, newField(q))
			}
		}
		if err := t.prompt(ctx, fields); err != nil {
			return input, err
		}
		if input, err = answered(input, fields); err != nil {
			return input, err
		}
	}
	return input, nil
}

// answered is the input with the answers of the fields. What was ticked beside
// what was proposed is named explicitly.
func answered(input draft.Input, fields []*field) (draft.Input, error) {
	for _, f := range fields {
		var err error
		if input.Answers, err = input.Answers.Answer(f.question.ID, f.values()...); err != nil {
			return input, err
		}
		beside := slices.DeleteFunc(slices.Clone(f.ticked), func(v string) bool { return slices.Contains(f.question.Default, v) })
		switch f.question.ID {
		case "endpoints":
			input.Endpoints = append(slices.Clone(input.Endpoints), beside...)
		case "events":
			input.Events = append(slices.Clone(input.Events), beside...)
		}
	}
	return input, nil
}

// field is a question on its way to an answer.
type field struct {
	question draft.Question
	check    func(values ...string) error
	text     string   // of Choose and Type
	ticked   []string // of Tick
}

func newField(q draft.Question) *field {
	f := &field{question: q, check: q.Check, ticked: slices.Clone(q.Default)}
	if q.Kind != draft.Tick && len(q.Default) > 0 {
		f.text = q.Default[0]
	}
	return f
}

func (f *field) values() []string {
	if f.question.Kind == draft.Tick {
		return append(slices.Clone(f.question.Kept), f.ticked...)
	}
	return []string{f.text}
}

// typed asks for a text that can't be empty.
func (t *terminal) typed(ctx context.Context, ask, explain string) (string, error) {
	f := newField(draft.Question{Kind: draft.Type, Ask: ask, Explain: explain})
	f.check = func(values ...string) error {
		if strings.TrimSpace(strings.Join(values, "")) == "" {
			return errors.New("write something, or end with Ctrl-C")
		}
		return nil
	}
	err := t.prompt(ctx, []*field{f})
	return strings.TrimSpace(f.text), err
}

// agreed asks whether to go on; anything but yes ends the command.
func (t *terminal) agreed(ctx context.Context, ask string) error {
	q := draft.Question{
		Kind: draft.Choose, Ask: ask, Explain: "Above stands what it holds.", Default: []string{"yes"},
		Options: []draft.Option{{Value: "yes", Why: "write the plan and its document"}, {Value: "no", Why: "leave everything as it is"}},
	}
	f := newField(q)
	if err := t.prompt(ctx, []*field{f}); err != nil {
		return err
	}
	if f.text != "yes" {
		return &exitError{code: 1, err: errNothingWritten}
	}
	return nil
}

// shown is how many options of a list are on the screen at once.
const shown = 12

// explain says what depends on the answer, and the flag that gives it.
func (f *field) explain() string {
	if f.question.Flag == "" {
		return f.question.Explain
	}
	return f.question.Explain + " [" + f.question.Flag + "]"
}

func (f *field) build() huh.Field {
	q := f.question
	explain := f.explain()
	switch q.Kind {
	case draft.Tick:
		var options []huh.Option[string]
		for _, o := range q.Options {
			options = append(options, huh.NewOption(o.Value+"  "+brief(o.Why), o.Value))
		}
		m := huh.NewMultiSelect[string]().Title(q.Ask).Description(explain).Options(options...).Value(&f.ticked)
		return m.Height(min(len(options), shown) + 2).Validate(func(v []string) error { return f.check(v...) })
	case draft.Choose:
		var options []huh.Option[string]
		for _, o := range q.Options {
			options = append(options, huh.NewOption(o.Value+"  "+brief(o.Why), o.Value))
		}
		return huh.NewSelect[string]().Title(q.Ask).Description(explain).Options(options...).Value(&f.text)
	}
	return huh.NewInput().Title(q.Ask).Description(explain).Value(&f.text).Validate(func(v string) error { return f.check(v) })
}

// prompt shows one question a page, or one after the other in plain lines where
// the terminal can't do more.
func (t *terminal) prompt(ctx context.Context, fields []*field) error {
	if len(fields) == 0 {
		return nil
	}
	if t.plainPrompts() {
		return t.promptPlainly(ctx, fields)
	}
	groups := make([]*huh.Group, len(fields))
	for i, f := range fields {
		groups[i] = huh.NewGroup(f.build())
	}
	theme := huh.ThemeFunc(huh.ThemeBase16)
	if !t.color() {
		theme = huh.ThemeBase
	}
	err := huh.NewForm(groups...).WithTheme(theme).WithInput(t.rawIn).WithOutput(t.rawErr).RunWithContext(ctx)
	if err != nil {
		return &exitError{code: 1, err: errNothingWritten}
	}
	return nil
}

// plainPrompts reports whether to ask in plain lines: for screen readers, and
// for terminals that can't move the cursor.
func (t *terminal) plainPrompts() bool {
	return t.setting("ACCESSIBLE") != "" || t.setting("TERM") == "dumb"
}

func (t *terminal) setting(name string) string {
	value := ""
	for _, e := range t.environ {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			value = v
		}
	}
	return value
}

// promptPlainly asks line by line. It ends at the end of the input and when the
// context does; a read of a terminal can't be called off, so it is left behind.
func (t *terminal) promptPlainly(ctx context.Context, fields []*field) error {
	in := &lines{from: t.in, ended: make(chan struct{}), until: ctx.Done()}
	done := make(chan error, 1)
	go func() {
		for _, f := range fields {
			fmt.Fprintf(t.err, "\n%s\n", f.explain())
			if err := f.build().RunAccessible(t.err, in); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	select {
	case err := <-done:
		return err
	case <-in.ended:
	case <-ctx.Done():
	}
	return &exitError{code: 1, err: errNothingWritten}
}

// lines gives one line a read, so that whoever reads ahead takes no more than the
// answer to one question. At the end of the input it says so and does not
// return: those who read would take it for an empty answer, or ask for ever.
type lines struct {
	from  *bufio.Reader
	rest  []byte
	ended chan struct{}
	until <-chan struct{}
}

func (l *lines) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		line, err := l.from.ReadBytes('\n')
		if err != nil && len(line) == 0 {
			close(l.ended)
			<-l.until
			return 0, io.EOF
		}
		l.rest = line
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}
