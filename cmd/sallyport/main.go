// Command sallyport plans, reviews, impersonates and runs the connection of
// your product to third-party services, all from one plan file.
//
// This package holds flags, signals and exit codes; everything else is in the
// packages it calls, which are there for Go programs to import.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	ui := newTerminal(os.Stdin, os.Stdout, os.Stderr, os.Environ())
	err := newRoot(ui).ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	var exit *exitError
	code := 2
	if errors.As(err, &exit) {
		code = exit.code
		err = exit.err
	}
	if err != nil {
		ui.fail(err)
	}
	return code
}

// exitError ends the program with a code of its own: 1 when what was asked for
// worked and the answer is "no" (findings, an unmet expectation), 2 when the
// input was unusable. err may be nil when all has been said already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// indent sets every line after the first under it.
func indent(s, by string) string { return strings.ReplaceAll(s, "\n", "\n"+by) }
