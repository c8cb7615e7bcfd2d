package call_test

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/sallyport/sallyport/call"
	"github.com/sallyport/sallyport/integration"
)

// stub answers at once. What a benchmark takes beyond BenchmarkBare is ours.
type stub struct{}

type empty struct{}

func (empty) Read([]byte) (int, error) { return 0, io.EOF }
func (empty) Close() error             { return nil }

func (stub) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Request-Id": {"req_1"}}, Body: empty{}, Request: r}, nil
}

// nowhere is not io.Discard, which slog knows and skips its work for.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

type forgetful struct{}

func (forgetful) Record(context.Context, *integration.Call) error { return nil }

func benchmark(b *testing.B, rt http.RoundTripper) {
	b.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "https://api.stripe.com/v1/customers/cus_1", nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer sk_test_dummy")
	b.ReportAllocs()
	for b.Loop() {
		resp, err := rt.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		resp.Body.Close()
	}
}

func benchmarked(b *testing.B, log *slog.Logger) http.RoundTripper {
	b.Helper()
	p := parse(b, stripePlan)
	for i := range p.Provider.Limits.List {
		p.Provider.Limits.List[i].Limit = 1 << 30
	}
	s, err := call.New(call.Config{
		Plan: p, Environment: "development", Transport: stub{}, Journal: forgetful{}, Log: log,
		Secret: func() integration.Secret { return integration.NewSecret(canary) },
	})
	if err != nil {
		b.Fatal(err)
	}
	return s.Transport("acme", integration.EntryClient)
}

// BenchmarkBare is the transport below, to compare with.
func BenchmarkBare(b *testing.B) { benchmark(b, stub{}) }

// BenchmarkTransport is everything but the writing of the log.
func BenchmarkTransport(b *testing.B) { benchmark(b, benchmarked(b, nil)) }

// BenchmarkTransportLogged writes its line as JSON to nowhere.
func BenchmarkTransportLogged(b *testing.B) {
	benchmark(b, benchmarked(b, slog.New(slog.NewJSONHandler(nowhere{}, nil))))
}
