package sallyport

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sallyport/sallyport/drift"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// noticing looks at the answers of one service (R0.4): by the plan's rows from
// the start, and by the provider's document from the first answer on that is
// looked at, because reading one takes time and memory that a gateway without
// traffic need not spend.
type noticing struct {
	app     *App
	plan    *plan.Plan
	checker atomic.Pointer[drift.Checker]
	asked   chan struct{} // has one when an answer came
}

func (a *App) newNoticing(p *plan.Plan) *noticing {
	n := &noticing{app: a, plan: p, asked: make(chan struct{}, 1)}
	n.checker.Store(n.check(nil))
	return n
}

func (n *noticing) check(doc *openapi.Document) *drift.Checker {
	c := n.app.config
	return drift.New(drift.Config{
		Plan: n.plan, Document: doc, Recorder: n.app.store, OneIn: 1, // package call chooses the sample
		Dice: c.Dice, Now: c.Now, Log: c.Log,
	})
}

// run looks at answers until ctx ends.
func (n *noticing) run(ctx context.Context) {
	first, swap := context.WithCancel(ctx)
	defer swap()
	var running sync.WaitGroup
	running.Go(func() { n.checker.Load().Run(first) })
	defer running.Wait()
	path := n.plan.SpecPath()
	if path == "" {
		return
	}
	select {
	case <-ctx.Done():
		return
	case <-n.asked:
	}
	doc, err := read(path)
	if err != nil {
		n.app.config.Log.Warn("drift.document", "service", n.plan.Service, "file", path, "error", err)
		return
	}
	whole := n.check(doc)
	n.checker.Store(whole)
	swap()
	whole.Run(ctx)
}

// read reads a provider's document: an embedded one, or a file with those it
// refers to.
func read(path string) (*openapi.Document, error) {
	if !strings.HasPrefix(path, plan.EmbeddedSpec) {
		return openapi.ReadFile(path)
	}
	data, err := plan.ReadSpec(path)
	if err != nil {
		return nil, err
	}
	return openapi.Read(data)
}

// Answer offers an answer to be looked at.
func (n *noticing) Answer(endpoint string, status int, body []byte) {
	select {
	case n.asked <- struct{}{}:
	default:
	}
	n.checker.Load().Answer(endpoint, status, body)
}

// MappingFailed tells of an answer that does not fit the plan's mapping.
func (n *noticing) MappingFailed(endpoint string, err error) {
	n.checker.Load().MappingFailed(endpoint, err)
}

// ErrorCode tells of a code the provider answered with.
func (n *noticing) ErrorCode(endpoint, code string) { n.checker.Load().ErrorCode(endpoint, code) }

// Headers tells of the headers of an answer.
func (n *noticing) Headers(endpoint string, h http.Header) { n.checker.Load().Headers(endpoint, h) }
