package sallyport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// The limits of our server towards strangers. A webhook's headers come at once
// or not at all; an answer may take as long as the provider behind the proxy.
const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = 60 * time.Second
	idleTimeout   = 2 * time.Minute
)

// cutOffPatience is how long requests that were cut off have to write down what
// they were doing.
const cutOffPatience = 15 * time.Second

// Serve serves Handler on l and runs Run until ctx ends; then it stops taking
// requests, lets what is in hand finish for Config.Grace, cuts off the rest, and
// closes the App. It ends by itself, with the reason, when l or Run fails.
func (a *App) Serve(ctx context.Context, l net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := newServer(ctx, a.handler, a.config.Log)
	working, served := make(chan error, 1), make(chan error, 1)
	go func() {
		err := a.Run(ctx)
		stop() // without workers there is no point in serving
		working <- err
	}()
	go func() {
		err := s.http.Serve(givingUp{l})
		stop()
		served <- err
	}()
	<-ctx.Done()
	problems := []error{s.stop(ctx, a.config.Grace), <-working}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		problems = append(problems, err)
	}
	return errors.Join(append(problems, a.Close())...)
}

// server is an HTTP server that knows when the last request has ended, also
// where it had to cut requests off: what they were doing is written down after
// that, and the database must still be open.
type server struct {
	http   *http.Server
	cutOff context.CancelFunc
	gate   sync.RWMutex // held for reading by each request
}

func newServer(ctx context.Context, handler http.Handler, log *slog.Logger) *server {
	requests, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	s := &server{cutOff: cutOff}
	s.http = &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !s.gate.TryRLock() { // it arrived while the last ones are cut off
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			defer s.gate.RUnlock()
			handler.ServeHTTP(w, r)
		}),
		BaseContext:       func(net.Listener) context.Context { return requests },
		ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return s
}

// stop takes no more requests and returns when those in hand have ended.
func (s *server) stop(ctx context.Context, grace time.Duration) error {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	defer s.cutOff()
	err := s.http.Shutdown(within)
	if err == nil {
		return nil
	}
	problems := []error{fmt.Errorf("stopping: requests were still in hand after %s: %w", grace, err)}
	s.cutOff()
	problems = append(problems, s.http.Close())
	ended := make(chan struct{})
	go func() {
		s.gate.Lock()
		close(ended)
	}()
	patience := time.NewTimer(cutOffPatience)
	defer patience.Stop()
	select {
	case <-ended:
	case <-patience.C:
		problems = append(problems, fmt.Errorf("stopping: requests that were cut off did not end within %s", cutOffPatience))
	}
	return errors.Join(problems...)
}
