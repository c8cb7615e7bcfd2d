// Package demo is the scenario of "sallyport demo": it plans Stripe from a
// sentence, starts the sandbox as Stripe, the gateway on SQLite and a small
// receiving app, makes traffic with faults, tells what happens line by line,
// and checks at the end that all went as the plan says.
//
// Nothing in it is prepared: the plan is written from the embedded profile and
// Stripe's real document, calls and webhooks go over loopback sockets, and the
// checks ask the gateway's own API, the sandbox and the app.
package demo

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/document"
	"github.com/sallyport/sallyport/draft"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
	"github.com/sallyport/sallyport/sandbox"
)

// Need is the sentence the plan is written from.
const Need = "Charge customers for monthly invoices and keep invoice status in step"

// Config says how the demo runs.
type Config struct {
	// Out takes the lines; they carry colours, which the writer may take out.
	Out io.Writer
	// For is how long it goes on. Zero means until ctx ends.
	For time.Duration
	// Folder holds the plan, its document and the database. Empty means a new
	// folder in the system's temporary one; it stays, to be looked at.
	Folder string
}

// ErrUnmet says that something did not go as the plan says; the table has told
// what.
var ErrUnmet = errors.New("not all went as the plan says")

// Run plays the demo.
func Run(ctx context.Context, c Config) error {
	s := &stage{config: c, narrator: newNarrator(c.Out), began: time.Now()}
	if c.Folder == "" {
		folder, err := os.MkdirTemp("", "sallyport-demo-*")
		if err != nil {
			return err
		}
		s.config.Folder = folder
	}
	defer s.close()
	s.narrator.act("1  The plan, from a sentence")
	if err := s.writePlan(); err != nil {
		return err
	}
	if err := s.open(ctx); err != nil {
		return err
	}
	s.narrator.act("2  Calls, under weather")
	if err := s.calls(ctx); err != nil {
		return err
	}
	s.narrator.act("3  Webhooks, among them a duplicate, a forged one and late ones")
	if err := s.webhooks(ctx); err != nil {
		return err
	}
	if err := s.traffic(ctx); err != nil {
		return err
	}
	return s.summary(ctx)
}

// stage is everything that runs.
type stage struct {
	config   Config
	narrator *narrator
	began    time.Time

	plan     *plan.Plan
	document *openapi.Document
	fixtures []byte
	secrets  secrets
	ports    struct{ sandbox, gateway, app net.Listener }

	sandbox  *sandbox.Sandbox
	app      *receiver
	gateway  *client
	requests []*request // calls the scenario made, to be checked
	waiting  *request   // the call that waits in the queue
	events   []*happened
	total    int // customers created, the steady traffic included
	servers  []*http.Server
	ended    []chan error
	stop     context.CancelFunc
}

// writePlan writes the plan and its document, as "sallyport plan" would, with
// addresses of this demo in it.
func (s *stage) writePlan() error {
	began := time.Now()
	profile, err := catalog.Load("stripe")
	if err != nil {
		return err
	}
	spec, err := catalog.ReadDocument(profile.Document.Embedded)
	if err != nil {
		return err
	}
	if s.fixtures, err = catalog.ReadDocument(profile.Document.Fixtures); err != nil {
		return err
	}
	if s.document, err = openapi.Read(spec); err != nil {
		return err
	}
	s.narrator.say("plan", "read %s %s: %d operations, %d event types", s.document.Title, s.document.Version, len(s.document.Operations), len(s.document.EventTypes))
	fresh, report, err := draft.Write(draft.Input{
		Service: "stripe", Need: Need, Profile: profile, Document: s.document,
		SpecFile: "embedded:" + profile.Document.Embedded, SpecSHA256: s.document.SHA256, Now: time.Now(),
	})
	if err != nil {
		return err
	}
	s.narrator.say("plan", "“%s”", Need)
	for _, candidate := range report.Candidates {
		if candidate.Picked {
			s.narrator.say("plan", "%s %s  %s", good.Render("✓"), candidate.Call, faint.Render(candidate.Reason))
		}
	}
	for _, event := range report.Events {
		if event.Picked {
			s.narrator.say("plan", "%s %s", good.Render("✓"), event.Call)
		}
	}
	if err := s.listen(); err != nil {
		return err
	}
	s.adapt(fresh)
	if s.plan, err = s.save(fresh); err != nil {
		return err
	}
	s.narrator.say("plan", "wrote %s in %s, with %d open questions", filepath.Join(s.config.Folder, "integrations", "stripe.yaml"),
		time.Since(began).Round(10*time.Millisecond), len(s.plan.OpenQuestions))
	return nil
}

// adapt changes what the demo needs otherwise than a new plan has it: its own
// addresses, and short times so that nobody has to wait.
func (s *stage) adapt(p *plan.Plan) {
	development := p.Environments["development"]
	development.BaseURL = "http://" + s.ports.sandbox.Addr().String()
	p.Environments["development"] = development
	for name, d := range p.Destinations {
		d.URL = "http://" + s.ports.app.Addr().String() + "/stripe"
		p.Destinations[name] = d
	}
	for _, e := range p.Endpoints {
		if e.Effect == plan.EffectRead {
			e.Timeout = plan.Duration(time.Second)
		}
	}
}

// save writes the plan and its document and reads the plan back, as the
// gateway will.
func (s *stage) save(p *plan.Plan) (*plan.Plan, error) {
	folder := filepath.Join(s.config.Folder, "integrations")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	yaml, err := plan.Marshal(p)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(folder, "stripe.yaml")
	if err := os.WriteFile(file, yaml, 0o600); err != nil {
		return nil, err
	}
	loaded, err := plan.Load(file, catalog.Load)
	if err != nil {
		return nil, err
	}
	page, err := document.HTML(loaded, s.document)
	if err != nil {
		return nil, err
	}
	return loaded, os.WriteFile(filepath.Join(s.config.Folder, "stripe.html"), page, 0o600)
}
