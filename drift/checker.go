package drift

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/gjson"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/mapping"
	"github.com/sallyport/sallyport/openapi"
	"github.com/sallyport/sallyport/plan"
)

// Recorder keeps what was noticed.
type Recorder interface {
	// RecordDrift keeps records that are new and adds to those it has: Count to
	// the count, the later LastSeen, the example that came last. It takes all or
	// nothing.
	RecordDrift(ctx context.Context, list []integration.Drift) error
}

// Finding is one thing that is not as promised.
type Finding struct {
	Pointer  string // JSON pointer in the answer, "*" for any element
	Kind     integration.DriftKind
	Row      string    // the plan's row; empty when only the document is concerned
	Expected string    // what was promised
	Example  string    // the shape of what came
	Ends     time.Time // of a deprecation
}

// Config of a Checker.
type Config struct {
	Plan *plan.Plan // required
	// Document is the provider's; nil compares with the mapping rows alone.
	Document *openapi.Document
	Recorder Recorder // required
	// OneIn is how many answers there are for each that is looked at. Zero is
	// 20; 1 looks at all.
	OneIn int
	// MaxBytes is the largest body that is looked at. Zero is 256 KiB.
	MaxBytes int
	// Queue is how many answers may wait to be looked at; more are passed over.
	// Zero is 32.
	Queue int
	// Every is how often counters of what is known are written. Zero is a
	// minute.
	Every time.Duration
	Dice  func() float64 // in [0, 1); required
	Now   func() time.Time
	Log   *slog.Logger
}

// maxKnown bounds how many different things are remembered. A provider that
// drifts in more places is broken, not drifting.
const maxKnown = 5000

// Checker looks at the answers of one service. All methods may be called by
// many goroutines; none of them waits.
type Checker struct {
	config    Config
	share     float64
	endpoints map[string]*endpoint
	codes     map[string]bool // error codes that have a meaning; empty: the profile names none
	queue     chan answer
	wake      chan struct{}

	mu     sync.Mutex
	known  map[key]*integration.Drift // Count is what was not written yet
	passed atomic.Int64
}

type endpoint struct {
	operation *openapi.Operation // nil when the document has none
	rows      []row
	private   map[string]bool
}

type answer struct {
	endpoint string
	status   int
	body     []byte
}

type key struct {
	endpoint, pointer string
	kind              integration.DriftKind
}

// New makes a Checker. Nothing is looked at until Run.
func New(c Config) *Checker {
	def := func(n *int, usual int) {
		if *n <= 0 {
			*n = usual
		}
	}
	def(&c.OneIn, 20)
	def(&c.MaxBytes, 256<<10)
	def(&c.Queue, 32)
	if c.Every <= 0 {
		c.Every = time.Minute
	}
	k := &Checker{
		config: c, share: 1 / float64(c.OneIn), endpoints: map[string]*endpoint{}, codes: map[string]bool{},
		queue: make(chan answer, c.Queue), wake: make(chan struct{}, 1), known: map[key]*integration.Drift{},
	}
	for name, e := range c.Plan.Endpoints {
		if e == nil {
			continue
		}
		one := &endpoint{rows: compileRows(c.Plan.Mappings, e.Receive, 0)}
		one.private = private(one.rows, "", map[string]bool{})
		if c.Document != nil {
			if op, ok := c.Document.Operation(e.Call); ok {
				one.operation = &op
			}
		}
		k.endpoints[name] = one
	}
	if p := c.Plan.Provider; p != nil {
		for _, m := range p.Errors.Meanings {
			for _, code := range m.Codes {
				k.codes[code] = true
			}
		}
		if s := p.Limits.Signal; s != nil {
			for _, v := range s.Values {
				k.codes[v] = true
			}
		}
	}
	return k
}

// Answer offers an answer of a named endpoint to be looked at. Most are passed
// over at the cost of a throw of the dice; the body is copied when it is taken.
func (k *Checker) Answer(name string, status int, body []byte) {
	if len(body) == 0 || len(body) > k.config.MaxBytes || k.config.Dice() >= k.share || k.endpoints[name] == nil {
		return
	}
	if len(k.queue) == cap(k.queue) {
		k.passed.Add(1)
		return
	}
	select {
	case k.queue <- answer{name, status, bytes.Clone(body)}:
	default:
		k.passed.Add(1)
	}
}

// Passed is how many chosen answers were passed over because too many waited.
func (k *Checker) Passed() int64 { return k.passed.Load() }

// Check compares an answer with the document and with the mapping rows, and
// records nothing. A body that is no JSON has no findings.
func (k *Checker) Check(name string, status int, body []byte) []Finding {
	e := k.endpoints[name]
	if e == nil || len(body) > k.config.MaxBytes || !gjson.ValidBytes(body) {
		return nil
	}
	w := &walk{document: k.config.Document, private: e.private, budget: maxValues}
	v := gjson.ParseBytes(body)
	if e.operation != nil && status >= 100 && status < 600 {
		w.value("", v, response(e.operation, status), 0)
	}
	if status >= 200 && status < 300 {
		w.rows("", v, e.rows)
	}
	return w.found
}

// kinds of drift that an error of a mapping is, by its rule.
var ruleKinds = map[string]integration.DriftKind{
	"missing": integration.DriftMissingField, "null": integration.DriftNull, "enum": integration.DriftNewValue,
	"type": integration.DriftChangedType, "integer": integration.DriftChangedType, "number": integration.DriftChangedType,
	"boolean": integration.DriftChangedType, "datetime": integration.DriftChangedType, "uuid": integration.DriftChangedType,
}

// MappingFailed records that an answer could not be mapped. Errors that are
// none of package mapping, and those about an amount or its currency, are passed
// over: they are about one value, not about the shape of answers.
func (k *Checker) MappingFailed(name string, err error) {
	var e *mapping.Error
	if !errors.As(err, &e) {
		return
	}
	kind, ok := ruleKinds[e.Rule]
	if !ok {
		return
	}
	k.record(name, Finding{
		Pointer: anyElement(e.Pointer), Kind: kind, Row: e.Row,
		Expected: "what the mapping row takes", Example: "refused by the rule " + e.Rule,
	})
}

// anyElement writes * for the numbers of elements and for names that may be
// data.
func anyElement(pointer string) string {
	if pointer == "" {
		return ""
	}
	parts := strings.Split(pointer[1:], "/")
	for i, p := range parts {
		parts[i] = step(strings.NewReplacer("~1", "/", "~0", "~").Replace(p))
	}
	return "/" + strings.Join(parts, "/")
}

// ErrorCode records a provider's error code that its profile gives no meaning.
// A profile that gives none any meaning expects no particular one.
func (k *Checker) ErrorCode(name, code string) {
	if len(k.codes) == 0 || code == "" || k.codes[code] {
		return
	}
	pointer, example := "", "a code of another form"
	if p := k.config.Plan.Provider; p != nil && p.Errors.CodePath != "" {
		pointer = "/" + strings.ReplaceAll(p.Errors.CodePath, ".", "/")
	}
	if isWord(code) {
		example = code
		pointer += "=" + code // one record a code
	}
	k.record(name, Finding{Pointer: pointer, Kind: integration.DriftUnknownCode, Expected: "a code the profile knows", Example: example})
}

// Headers records the announcement of an end, if the headers hold one.
func (k *Checker) Headers(name string, header http.Header) {
	if header.Get("Deprecation") == "" && header.Get("Sunset") == "" {
		return
	}
	if f, ok := ReadNotice(header).finding(); ok {
		k.record(name, f)
	}
}

// record counts a finding, and has a new one written.
func (k *Checker) record(name string, f Finding) {
	now := k.config.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	id := key{name, f.Pointer, f.Kind}
	d, ok := k.known[id]
	if !ok {
		if len(k.known) >= maxKnown {
			return
		}
		d = &integration.Drift{
			Service: k.config.Plan.Service, Endpoint: name, Pointer: f.Pointer, Kind: f.Kind, FirstSeen: now,
		}
		k.known[id] = d
	}
	if !ok || !d.Ends.Equal(f.Ends) {
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
	if f.Row != "" || d.Row == "" {
		d.Row, d.Expected = f.Row, f.Expected
	}
	d.Example, d.Ends, d.LastSeen = f.Example, f.Ends, now
	d.Count++
}

// Run looks at answers until ctx ends, then writes what is not written yet and
// returns.
func (k *Checker) Run(ctx context.Context) {
	tick := time.NewTicker(k.config.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			k.write(last)
			return
		case a := <-k.queue:
			for _, f := range k.Check(a.endpoint, a.status, a.body) {
				k.record(a.endpoint, f)
			}
		case <-k.wake:
			k.write(ctx)
		case <-tick.C:
			k.write(ctx)
		}
	}
}

// write hands over all that was counted since the last time. What could not be
// written stays counted.
func (k *Checker) write(ctx context.Context) {
	k.mu.Lock()
	var list []integration.Drift
	for _, d := range k.known {
		if d.Count > 0 {
			list = append(list, *d)
			d.Count = 0
		}
	}
	k.mu.Unlock()
	if len(list) == 0 {
		return
	}
	err := k.config.Recorder.RecordDrift(ctx, list)
	if err == nil {
		return
	}
	k.config.Log.Warn("drift was noticed and could not be kept", "service", k.config.Plan.Service, "records", len(list), "error", err)
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range list {
		k.known[key{d.Endpoint, d.Pointer, d.Kind}].Count += d.Count
	}
}
