package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"charm.land/lipgloss/v2"
	"charm.land/lipgloss/v2/table"
	"github.com/charmbracelet/colorprofile"
	"golang.org/x/term"
)

// terminal is where a person reads and answers. Colour is written only to a
// terminal, and never when NO_COLOR or --no-color says so.
type terminal struct {
	in       *bufio.Reader
	out, err io.Writer
	// asks reports whether a person can be asked: input and output are both
	// terminals.
	asks    bool
	isTTY   bool
	noColor bool
	quiet   bool
	environ []string
	rawIn   io.Reader
	rawOut  io.Writer
	rawErr  io.Writer
}

func newTerminal(in *os.File, out, errOut *os.File, environ []string) *terminal {
	t := &terminal{
		in: bufio.NewReader(in), environ: environ, rawIn: in, rawOut: out, rawErr: errOut,
		isTTY: term.IsTerminal(int(out.Fd())),
	}
	t.asks = t.isTTY && term.IsTerminal(int(in.Fd()))
	t.setColor()
	return t
}

// setColor puts writers in place that take colours out where they don't belong.
func (t *terminal) setColor() {
	out, errOut := colorprofile.NewWriter(t.rawOut, t.environ), colorprofile.NewWriter(t.rawErr, t.environ)
	if t.noColor {
		out.Profile, errOut.Profile = colorprofile.NoTTY, colorprofile.NoTTY
	}
	t.out, t.err = out, errOut
}

// getenv is a variable of the environment; empty when it is not set.
func (t *terminal) getenv(name string) string {
	for _, pair := range slices.Backward(t.environ) {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

// color reports whether colours reach the output.
func (t *terminal) color() bool {
	w, ok := t.out.(*colorprofile.Writer)
	return ok && w.Profile > colorprofile.ASCII
}

var (
	styleGood = lipgloss.NewStyle().Foreground(lipgloss.Color("2"))
	styleBad  = lipgloss.NewStyle().Foreground(lipgloss.Color("1")).Bold(true)
	styleDim  = lipgloss.NewStyle().Faint(true)
	styleBold = lipgloss.NewStyle().Bold(true)
)

// say writes a line for the person, unless --quiet.
func (t *terminal) say(format string, args ...any) {
	if !t.quiet {
		fmt.Fprintf(t.err, format+"\n", args...)
	}
}

// print writes a result to standard output.
func (t *terminal) print(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

// fail says what went wrong; several problems one a line.
func (t *terminal) fail(err error) {
	fmt.Fprintf(t.err, "%s %s\n", styleBad.Render("error:"), indent(err.Error(), "       "))
}

// step says that something long begins and returns what says that it ended.
func (t *terminal) step(what string) func() {
	start := time.Now()
	if t.quiet || !t.isTTY {
		return func() {}
	}
	fmt.Fprintf(t.err, "%s", styleDim.Render(what+" …"))
	return func() {
		fmt.Fprintf(t.err, "\r\x1b[K%s\n", styleDim.Render(fmt.Sprintf("%s  %s", what, time.Since(start).Round(10*time.Millisecond))))
	}
}

// table prints rows under headings, with borders only at a terminal.
func (t *terminal) table(headings []string, rows [][]string) {
	tbl := table.New().Headers(headings...).Rows(rows...).
		Border(lipgloss.HiddenBorder()).BorderTop(false).BorderBottom(false).BorderLeft(false).BorderRight(false).
		BorderHeader(false).BorderColumn(false).
		StyleFunc(func(row, _ int) lipgloss.Style {
			if row == table.HeaderRow {
				return styleBold.PaddingRight(2)
			}
			return lipgloss.NewStyle().PaddingRight(2)
		})
	fmt.Fprintln(t.out, tbl.Render())
}
