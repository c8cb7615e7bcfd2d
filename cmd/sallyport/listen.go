package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport/sallyport/api"
)

// listenFlags are what the command was told.
type listenFlags struct {
	to, tenant, from, name string
	types                  []string
	since                  time.Duration
	timeout                time.Duration
	raw, bodies            bool
}

func newListen(ui *terminal) *cobra.Command {
	g := &gateway{ui: ui}
	var f listenFlags
	cmd := &cobra.Command{
		Use: "listen SERVICE", Short: "Forward webhook events to your machine", GroupID: "run", Args: cobra.ExactArgs(1),
		ValidArgsFunction: g.completing(g.services),
		Long: `Forward the webhook events of a gateway to a server on your machine, as they come, one after the other. Nothing about an
event changes: its destinations have it as if nobody listened.

What is posted is what the plan delivers: the mapped CloudEvent, signed as Standard Webhooks say with a secret that is shown
at the beginning and stays the same for all you listen to. With --raw it is what the provider sent, body and headers; its
signature is not shown to anybody, so your server can't verify it.

Events that come while the command does not run are forwarded when it runs again, unless --from now skips them: where it was is
kept in a file under $XDG_STATE_HOME/sallyport (~/.local/state/sallyport), one for each gateway, service, address, filter and
--name. A crash at the wrong moment forwards one event twice; it has the same Webhook-Id. While nothing answers at the address,
events wait.` + gatewayHelp,
		Example: `  sallyport listen stripe --to http://localhost:3000/webhooks
  sallyport listen stripe --to http://localhost:3000/webhooks --type invoice.paid --since 1h --print
  sallyport listen github --to http://localhost:3000/github --raw`,
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := newListener(g, args[0], f)
			if err != nil {
				return err
			}
			defer l.close()
			return l.run(cmd.Context())
		},
	}
	g.flags(cmd)
	cmd.Flags().StringVar(&f.to, "to", "", "URL that events are posted to")
	cmd.Flags().StringArrayVar(&f.types, "type", nil, "only events of this type; repeat for several")
	cmd.Flags().StringVar(&f.tenant, "tenant", "", "one customer's only")
	cmd.Flags().DurationVar(&f.since, "since", 0, "begin with what came within this time, not where it was: 1h")
	cmd.Flags().StringVar(&f.from, "from", "last", "last: go on where it was; now: skip what came meanwhile")
	cmd.Flags().StringVar(&f.name, "name", "", "tells two listeners apart that are the same otherwise")
	cmd.Flags().DurationVar(&f.timeout, "timeout", time.Minute, "how long your server may take")
	cmd.Flags().BoolVar(&f.raw, "raw", false, "post what the provider sent, not what the plan makes of it")
	cmd.Flags().BoolVar(&f.bodies, "print", false, "show the bodies")
	fixedCompletion(cmd, "from", "last", "now")
	g.completeType(cmd, "type")
	return cmd
}

// localListener forwards the events of one service.
type localListener struct {
	*gateway
	listenFlags
	service   string
	state     *listenState
	secret    string       // what is signed with
	local     *http.Client // to the developer's server
	stream    *http.Client // to the gateway
	since     time.Time
	forwarded int
	refused   int    // of those forwarded
	greeted   bool   // the developer knows that the stream stands
	told      bool   // the developer knows the secret
	complaint string // what the developer was last told is wrong
}

func newListener(g *gateway, service string, f listenFlags) (*localListener, error) {
	to, err := url.Parse(f.to)
	switch {
	case f.to == "":
		return nil, errors.New("--to is missing: name the URL of your server, for example http://localhost:3000/webhooks")
	case err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https":
		return nil, fmt.Errorf("--to: %q is no http or https URL", f.to)
	case f.from != "last" && f.from != "now":
		return nil, fmt.Errorf("--from: %q is not one of last, now", f.from)
	case f.since < 0 || f.timeout <= 0:
		return nil, errors.New("--since and --timeout are lengths of time: 1h, 30s")
	case f.from == "now" && f.since > 0:
		return nil, errors.New("--from now skips what came before, --since asks for it: write one of them")
	}
	folder, err := g.ui.stateFolder()
	if err != nil {
		return nil, err
	}
	secret, err := listenSecret(folder)
	if err != nil {
		return nil, err
	}
	slices.Sort(f.types)
	state, err := openListenState(folder, service, g.address, service, f.to, f.tenant, strconv.FormatBool(f.raw), f.name, strings.Join(f.types, "\x01"))
	if err != nil {
		return nil, err
	}
	l := &localListener{
		gateway: g, listenFlags: f, service: service, state: state, secret: secret,
		local: &http.Client{
			Timeout: f.timeout, Transport: &http.Transport{},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		stream: &http.Client{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: time.Minute}},
	}
	if f.from == "now" || f.since > 0 {
		state.Cursor = ""
	}
	if f.since > 0 {
		l.since = time.Now().Add(-f.since).UTC()
	}
	return l, nil
}

func (l *localListener) close() {
	l.local.CloseIdleConnections()
	l.stream.CloseIdleConnections()
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// backoff is how long to wait after a number of failures in a row.
func backoff(failures int, most time.Duration) time.Duration {
	d := min(500*time.Millisecond<<min(failures, 10), most)
	return d/2 + rand.N(d/2) //nolint:gosec // jitter
}

// fatal is an answer of the gateway that coming again does not mend.
type fatal struct{ error }

// run forwards events until ctx ends.
func (l *localListener) run(ctx context.Context) error {
	for failures := 0; ctx.Err() == nil; {
		before := l.state.Cursor
		err := l.connect(ctx)
		var end fatal
		if errors.As(err, &end) {
			return end.error
		}
		if failures++; l.state.Cursor != before {
			failures = 0
		}
		if ctx.Err() == nil {
			l.greeted = false
			l.tell("%v; trying again", err)
			pause(ctx, backoff(failures, 30*time.Second))
		}
	}
	l.farewell()
	return nil
}

// farewell says what was done.
func (l *localListener) farewell() {
	s := events(l.forwarded) + " posted"
	if l.refused > 0 {
		s += fmt.Sprintf(", %d of them not taken", l.refused)
	}
	if l.state.Cursor != "" {
		s += "; what comes from now on waits for the next time"
	}
	l.ui.say("%s", s)
}

// tell says what is wrong, once.
func (l *localListener) tell(format string, args ...any) {
	if s := fmt.Sprintf(format, args...); s != l.complaint {
		l.complaint = s
		l.ui.say("%s", styleBad.Render(clean(s)))
	}
}

// silence is how long the gateway may say nothing; it sends a line every 15
// seconds.
const silence = 50 * time.Second

// lineMost bounds one line of the stream: a body of 25 MB in base64, and once more
// within the CloudEvent.
const lineMost = 100 << 20

var errSilent = errors.New("the gateway said nothing for a while")

// connect forwards events until the stream ends, and says why it did.
func (l *localListener) connect(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer watch.Stop()
	resp, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	in := bufio.NewReaderSize(resp.Body, 64<<10)
	for {
		b, err := readLine(in)
		if err != nil {
			if cause := context.Cause(ctx); cause != nil {
				err = cause
			}
			return fmt.Errorf("the stream broke off: %w", err)
		}
		watch.Stop() // the developer's server may take its time
		var line api.StreamLine
		if err := json.Unmarshal(b, &line); err != nil {
			return fatal{fmt.Errorf("%s does not answer as a gateway does: %w", l.address, err)}
		}
		if err := l.take(ctx, &line); err != nil {
			return err
		}
		watch.Reset(silence)
	}
}

// readLine reads one line, and no more than lineMost of it.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if line = append(line, part...); len(line) > lineMost {
			return nil, errors.New("a line is too long")
		}
		switch {
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

// open asks for the stream.
func (l *localListener) open(ctx context.Context) (*http.Response, error) {
	key := l.ui.getenv(gatewayKey)
	if key == "" {
		return nil, fatal{fmt.Errorf("%s is not set: make a key with sallyport keys new --name me --scope admin, and export it", gatewayKey)}
	}
	q := url.Values{}
	for name, value := range map[string]string{"cursor": l.state.Cursor, "tenant": l.tenant} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(l.types) == 1 {
		q.Set("type", l.types[0])
	}
	if !l.since.IsZero() {
		q.Set("since", l.since.Format(time.RFC3339))
	}
	address := strings.TrimSuffix(l.address, "/") + "/api/v1/admin/integrations/" + url.PathEscape(l.service) + "/events/stream?" + q.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, fatal{fmt.Errorf("--gateway: %w", err)}
	}
	r.Header.Set("Authorization", "Bearer "+key)
	resp, err := l.stream.Do(r)
	if err != nil {
		return nil, fmt.Errorf("no gateway answers at %s: %w", l.address, withoutURL(err))
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	err = refusal(resp, b)
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests {
		return nil, err
	}
	return nil, fatal{err}
}

func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// wherefrom says where a listener goes on that was here before.
func (l *localListener) wherefrom() string {
	if l.state.Cursor == "" || l.state.At.IsZero() || l.forwarded > 0 {
		return ""
	}
	return styleDim.Render(", going on where it was " + ago(l.state.At))
}

// greet says that the stream stands.
func (l *localListener) greet() {
	if l.greeted {
		return
	}
	if !l.told && !l.raw {
		l.ui.say("signed as Standard Webhooks say, with %s", styleBold.Render(l.secret))
	}
	l.ui.say("listening to %s at %s, posting to %s%s", l.service, l.address, l.to, l.wherefrom())
	l.greeted, l.told, l.complaint = true, true, ""
}

// take works on one line and notes where to go on.
func (l *localListener) take(ctx context.Context, line *api.StreamLine) error {
	switch line.Kind {
	case "event":
		if line.Event == nil {
			return fatal{fmt.Errorf("%s does not answer as a gateway does: an event without an event", l.address)}
		}
		if len(l.types) > 1 && !slices.Contains(l.types, line.Event.Type) {
			break
		}
		if err := l.forward(ctx, line); err != nil {
			return err
		}
	case "end":
		return errors.New(line.Reason)
	default:
		l.greet()
	}
	if line.Cursor == l.state.Cursor {
		return nil
	}
	l.state.Cursor = line.Cursor
	if err := l.state.save(time.Now()); err != nil {
		return fatal{err}
	}
	return nil
}
