package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A server that is not there is waited for; one that refuses is told what may be
// wrong, and what is not posted is said.
func TestListenToTrouble(t *testing.T) {
	t.Parallel()
	h := newHooks(t)
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	l := h.listen("--to", "http://"+address+"/hooks", "--print")
	h.send(1, "invoice.paid")
	h.send(2, "invoice.voided")
	l.err.wait(t, "is your server running?")
	again, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	mine := &local{came: make(chan struct{}, 1), answer: func(int) int { return 404 }}
	server := &http.Server{Handler: mine, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(again) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	l.out.wait(t, "404 Not Found")
	l.err.wait(t, "is --to right?")
	l.out.wait(t, "the plan does not use it")
	l.out.wait(t, `"number": 1`)
	l.end()
	if mine.count() != 1 {
		t.Errorf("%d were posted", mine.count())
	}
}

// What can't work says so at once.
func TestListenRefuses(t *testing.T) {
	t.Parallel()
	h := newHooks(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"listen", "stripe"}, "--to is missing"},
		{[]string{"listen", "stripe", "--to", "localhost:3000"}, "is no http or https URL"},
		{[]string{"listen", "stripe", "--to", "http://localhost", "--from", "then"}, "is not one of last, now"},
		{[]string{"listen", "stripe", "--to", "http://localhost", "--from", "now", "--since", "1h"}, "write one of them"},
		{[]string{"listen", "none", "--to", "http://localhost"}, "none"},
	} {
		if err := h.refused(t, h.key, c.args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.args, err, c.want)
		}
	}
	for key, want := range map[string]string{"": "SALLYPORT_KEY is not set", "sp_wrong": "key"} {
		if err := h.refused(t, key, "listen", "stripe", "--to", "http://localhost"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("key %q: %v, want %q", key, err, want)
		}
	}
}

// refused is the error of a command that should not run.
func (h *hooks) refused(t *testing.T, key string, args ...string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ui := &terminal{environ: []string{"SALLYPORT_GATEWAY=" + h.gateway.URL, "SALLYPORT_KEY=" + key, "XDG_STATE_HOME=" + h.state}, rawOut: io.Discard, rawErr: io.Discard}
	ui.setColor()
	root := newRoot(ui)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// An event that is in hand when the command ends is not posted again; one whose
// stream breaks off goes on where it was.
func TestListenBreaksOff(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	h := newHooks(t)
	mine := newLocal(t, func(n int) int {
		if n == 1 {
			<-release
		}
		return 200
	})
	first := h.listen("--to", mine.URL)
	h.send(0, "invoice.paid")
	mine.wait(t, 1)
	first.stop()
	close(release)
	first.end()
	first.err.wait(t, "1 event posted")

	second := h.listen("--to", mine.URL)
	second.err.wait(t, "going on where it was")
	h.send(1, "invoice.paid")
	mine.wait(t, 2)
	h.gateway.CloseClientConnections()
	second.err.wait(t, "trying again")
	h.send(2, "invoice.paid")
	mine.wait(t, 3)
	second.end()
	if got := mine.numbers(t, "data.number"); mine.count() != 3 || !slices.Equal(got, upTo(3)) {
		t.Errorf("%d came, as %v", mine.count(), got)
	}
	if n := strings.Count(second.err.String(), "listening to stripe"); n != 2 {
		t.Errorf("it was said %d times that the stream stands:\n%s", n, second.err)
	}
}

// Two listeners that are the same do not skip what the other is through with: the
// later one is told; with a name of its own it has all.
func TestListenersAreTold(t *testing.T) {
	t.Parallel()
	h, mine, other := newHooks(t), newLocal(t, nil), newLocal(t, nil)
	one, two, named := h.listen("--to", mine.URL), h.listen("--to", mine.URL), h.listen("--to", mine.URL, "--name", "named")
	elsewhere := h.listen("--to", other.URL, "--type", "invoice.paid", "--type", "invoice.voided")
	for i := range 5 {
		h.send(i, "invoice.paid")
	}
	h.send(5, "customer.created")
	other.wait(t, 5)
	var err error
	select {
	case err = <-one.ended:
		one = two
	case err = <-two.ended:
	case <-t.Context().Done():
	}
	if err == nil || !strings.Contains(err.Error(), "--name") {
		t.Errorf("the second ended with %v", err)
	}
	for _, l := range []*listening{one, named} {
		l.out.wait(t, "customer.created")
		l.end()
		if n := strings.Count(l.out.String(), "invoice.paid"); n != 5 {
			t.Errorf("one of them has %d of 5:\n%s", n, l.out)
		}
	}
	elsewhere.end()
	if other.count() != 5 {
		t.Errorf("%d of two types came", other.count())
	}
	whsec := regexp.MustCompile(`whsec_[A-Za-z0-9+/=]+`)
	if a, b := whsec.FindString(one.err.String()), whsec.FindString(elsewhere.err.String()); a == "" || a != b {
		t.Errorf("two secrets: %s %s", a, b)
	}
	files, err := filepath.Glob(filepath.Join(h.state, "sallyport", "*"))
	if err != nil || len(files) != 4 {
		t.Errorf("%v, %v", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s is readable by others: %v, %v", file, info.Mode(), err)
		}
	}
}

// A state that can't be read is named, and not overwritten.
func TestListenState(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	first, err := listenSecret(folder)
	if again, err2 := listenSecret(folder); err != nil || err2 != nil || first != again {
		t.Fatalf("%v, %v", err, err2)
	}
	if err := os.WriteFile(filepath.Join(folder, "listen.secret"), []byte("whsec_%%%"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenSecret(folder); err == nil || strings.Contains(err.Error(), "%%%") {
		t.Errorf("a secret that is none: %v", err)
	}
	s, err := openListenState(folder, "../stripe", "a", "b")
	if err != nil || filepath.Dir(s.path) != folder {
		t.Fatalf("%+v, %v", s, err)
	}
	if err := os.WriteFile(s.path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openListenState(folder, "../stripe", "a", "b"); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a broken state: %v", err)
	}
	if err := s.save(time.Now()); err == nil {
		t.Error("it was overwritten")
	}
}

// The shell completes services, events and types; where no gateway answers it
// offers nothing.
func TestCompletesEvents(t *testing.T) {
	t.Parallel()
	h := newHooks(t)
	h.send(0, "invoice.paid")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"listen", ""}, "stripe\tStripe\n"},
		{[]string{"events", "list", ""}, "stripe\tStripe\n"},
		{[]string{"events", "retry", ""}, "stripe\tStripe\n"},
		{[]string{"events", "retry", "stripe", ""}, "\tinvoice.paid, "},
		{[]string{"events", "show", ""}, "\tinvoice.paid, "},
		{[]string{"events", "preview", ""}, "\tinvoice.paid, "},
		{[]string{"listen", "stripe", "--type", ""}, "customer.created\ninvoice.paid\n"},
	} {
		out, _, err := h.sally(t, append([]string{"__complete"}, c.args...)...)
		if err != nil || !strings.Contains(out, c.want) {
			t.Errorf("%v: %v\n%s", c.args, err, out)
		}
		out, _, err = (&admin{gateway: h.app.Server}).sally(t, append([]string{"__complete"}, c.args...)...)
		if err != nil || strings.Contains(out, "stripe") || strings.Contains(out, "invoice.paid") {
			t.Errorf("without a gateway, %v: %v\n%s", c.args, err, out)
		}
	}
}
