package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/sallyport/sallyport/integration"
	"github.com/sallyport/sallyport/paginate"
	"github.com/sallyport/sallyport/problem"
)

// Limits of listeners.
const (
	// listenersPerKey is how many listeners one API key may have at once.
	listenersPerKey = 8
	// heartbeat is how often a listener hears from us where nothing comes.
	heartbeat = 15 * time.Second
	// lookEvery is how often the store is asked for events that another instance
	// took in.
	lookEvery = time.Second
	// gather is how long a listener waits after news before it asks the store: in a
	// storm it asks once for many.
	gather = 50 * time.Millisecond
	// listenWrite is how long one line may take to be written. A listener that
	// reads more slowly is let go, and comes back to where it was.
	listenWrite = 30 * time.Second
	// listenPage is how many events are read at once.
	listenPage = 100
)

// Arrivals tell listeners that events came. Announce is cheap: it may be called
// for each event. Close ends all listeners, now and later.
type Arrivals struct {
	mu     sync.Mutex
	news   chan struct{} // closed when something came; nil when nobody waits
	closed chan struct{}
	once   sync.Once
	keys   map[string]int // listeners by API key
}

// NewArrivals makes Arrivals.
func NewArrivals() *Arrivals {
	return &Arrivals{closed: make(chan struct{}), keys: map[string]int{}}
}

// Announce says that an event came.
func (a *Arrivals) Announce() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.news != nil {
		close(a.news)
		a.news = nil
	}
}

// Close ends all listeners.
func (a *Arrivals) Close() { a.once.Do(func() { close(a.closed) }) }

// next is closed when the next event comes.
func (a *Arrivals) next() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.news == nil {
		a.news = make(chan struct{})
	}
	return a.news
}

// enter counts a listener; false: the key has as many as it may have.
func (a *Arrivals) enter(key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.keys[key] >= listenersPerKey {
		return false
	}
	a.keys[key]++
	return true
}

func (a *Arrivals) leave(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.keys[key]--; a.keys[key] == 0 {
		delete(a.keys, key)
	}
}

// StreamLine is one line of what a listener gets.
type StreamLine struct {
	Kind   string `json:"kind" enum:"event,alive,end" doc:"alive: nothing came; end: the stream is over, come again"`
	Cursor string `json:"cursor" doc:"where to go on after this line"`
	// Of an event:
	Event   *EventView   `json:"event,omitempty"`
	Body    []byte       `json:"body,omitempty" doc:"the payload, less what the plan redacts"`
	Preview *PreviewView `json:"preview,omitempty" doc:"what it is delivered as"`
	// Of an end:
	Reason string `json:"reason,omitempty"`
}

func (s *server) listenRoutes(routes huma.API) {
	huma.Register(routes, huma.Operation{
		OperationID: "listen", Method: http.MethodGet, Path: "/api/v1/admin/integrations/{service}/events/stream",
		Summary:     "Listen to webhook events as they come",
		Description: "NDJSON, one event a line in the order in which they were kept, without an end; a line of kind alive comes where nothing else does. It begins at cursor, at since, or now. A listener changes nothing about an event or its delivery. Events wait: whoever comes back with the cursor of the last line it worked on misses none.",
		Tags:        []string{"admin"}, Security: secured, Middlewares: s.withKey(integration.ScopeAdmin),
		Responses: map[string]*huma.Response{"200": {
			Description: "Lines, each a JSON object.", Content: map[string]*huma.MediaType{paginate.ContentType: {Schema: routes.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[StreamLine](), true, "StreamLine")}},
		}},
	}, s.listen)
}

type listenInput struct {
	Service string    `path:"service" example:"stripe"`
	Type    string    `query:"type" doc:"event type"`
	Tenant  string    `query:"tenant"`
	Source  string    `query:"source" doc:"the inbound address of the service they came by"`
	Since   time.Time `query:"since" doc:"RFC 3339; begin with what was received then"`
	Cursor  string    `query:"cursor" maxLength:"64" doc:"of the last line that was worked on"`
}

type listenOutput struct {
	ContentType string `header:"Content-Type"`
	Body        func(huma.Context)
}

func (s *server) listen(ctx context.Context, in *listenInput) (*listenOutput, error) {
	if _, ok := s.services[in.Service]; !ok {
		return nil, unknownService(in.Service)
	}
	filter := integration.Filter{Service: in.Service, Type: in.Type, Tenant: in.Tenant, Source: in.Source, Limit: listenPage}
	position, err := s.listenFrom(ctx, in, &filter)
	if err != nil {
		return nil, err
	}
	who := actor(ctx)
	if !s.Arrivals.enter(who) {
		return nil, &problem.Problem{
			Status: http.StatusTooManyRequests, Code: "too_many_listeners", Detail: "the key has " + strconv.Itoa(listenersPerKey) + " listeners already",
			Hint: "end one of them, or make another key", RetryAfter: retrySoon,
		}
	}
	if err := s.Keys.Audit(ctx, s.entry(ctx, "event.listen", in.Service, strings.TrimSpace("payloads included "+in.Type+" "+in.Tenant))); err != nil {
		s.Arrivals.leave(who)
		return nil, s.failed(err, "listener")
	}
	return &listenOutput{ContentType: paginate.ContentType, Body: func(ctx huma.Context) {
		defer s.Arrivals.leave(who)
		_, w := humago.Unwrap(ctx)
		l := &listener{server: s, filter: filter, position: position, out: http.NewResponseController(w), encoder: json.NewEncoder(w)}
		_ = l.out.SetReadDeadline(time.Time{}) // the time-out of the request's body; the answer has no end
		l.run(ctx.Context())
	}}, nil
}

// cursorPrefix tells our cursors from those of lists.
const cursorPrefix = "l"

func listenCursor(position int64) string { return cursorPrefix + strconv.FormatInt(position, 36) }

// listenFrom is where a listener begins.
func (s *server) listenFrom(ctx context.Context, in *listenInput, f *integration.Filter) (position int64, err error) {
	f.Since = in.Since
	switch {
	case in.Cursor != "":
		digits, ok := strings.CutPrefix(in.Cursor, cursorPrefix)
		position, err := strconv.ParseInt(digits, 36, 64)
		if !ok || err != nil || position < 0 {
			return 0, s.failed(integration.ErrCursor, "list")
		}
		return position, nil
	case !in.Since.IsZero():
		position, err = s.Records.EventsSince(ctx, in.Since)
	default:
		position, err = s.Records.LastEvent(ctx)
	}
	if err != nil {
		return 0, s.failed(err, "list")
	}
	return position, nil
}

// listener is one that listens.
type listener struct {
	*server
	filter   integration.Filter
	position int64
	out      *http.ResponseController
	encoder  *json.Encoder
}

// run writes what comes until the listener leaves, or is let go.
func (l *listener) run(ctx context.Context) {
	if l.write(StreamLine{Kind: "alive"}) != nil { // so that it knows its cursor
		return
	}
	alive := time.NewTicker(heartbeat)
	defer alive.Stop()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		news := l.Arrivals.next()
		wrote, err := l.events(ctx)
		if err != nil || ctx.Err() != nil {
			return
		}
		if wrote {
			alive.Reset(heartbeat)
		}
		select {
		case <-ctx.Done():
			return
		case <-l.Arrivals.closed:
			_ = l.write(StreamLine{Kind: "end", Reason: "the gateway stops"})
			return
		case <-alive.C:
			if l.write(StreamLine{Kind: "alive"}) != nil {
				return
			}
		case <-look.C:
		case <-news:
			select {
			case <-ctx.Done():
			case <-time.After(gather):
			}
		}
	}
}

// events writes all that is there.
func (l *listener) events(ctx context.Context) (wrote bool, err error) {
	for {
		list, next, err := l.Records.EventsAfter(ctx, l.filter, l.position)
		if err != nil {
			if ctx.Err() == nil {
				l.Log.Error("api.listen", "service", l.filter.Service, "error", err)
				_ = l.write(StreamLine{Kind: "end", Reason: "the events can't be read now"})
			}
			return wrote, err
		}
		for i := range list {
			select {
			case <-l.Arrivals.closed: // the caller says so
				return wrote, nil
			default:
			}
			l.position = list[i].Position
			if err := l.write(l.line(&list[i])); err != nil {
				return wrote, err
			}
			wrote = true
		}
		if l.position = next; len(list) == 0 {
			return wrote, nil
		}
	}
}

// line is one event as a listener gets it: as it came, and as it is delivered,
// both less what the plan redacts.
func (l *listener) line(e *integration.Event) StreamLine {
	view := eventView(e, nil)
	view.Headers = integration.ShownHeader(e.Header)
	line := StreamLine{Kind: "event", Event: &view}
	line.Body, view.Redacted = l.shown(e)
	view.Kept = keptWords[e.Kept]
	if l.Previewer != nil {
		p := l.previewed(e)
		line.Preview = &p
	}
	return line
}

// write writes one line, and does not wait long for those who do not read it.
func (l *listener) write(line StreamLine) error {
	line.Cursor = listenCursor(l.position)
	if err := l.out.SetWriteDeadline(time.Now().Add(listenWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if err := l.encoder.Encode(line); err != nil {
		return err
	}
	return l.out.Flush()
}
