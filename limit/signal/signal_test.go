package signal_test

import (
	"fmt"
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport/sallyport/catalog"
	"github.com/sallyport/sallyport/limit/signal"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// told is a signal of the three usual values.
func told(limit, remaining float64, after time.Duration) signal.Signal {
	return signal.Signal{Limit: limit, Remaining: remaining, Used: limit - remaining, UsedPart: (limit - remaining) / limit, After: after}
}

func named(name string, s signal.Signal) signal.Signal {
	s.For = name
	return s
}

func lasting(d time.Duration, s signal.Signal) signal.Signal {
	s.Window = d
	return s
}

func headers(prefix, format string) catalog.Limits {
	return catalog.Limits{Headers: &catalog.LimitHeaders{Limit: prefix + "Limit", Remaining: prefix + "Remaining", Reset: prefix + "Reset", ResetFormat: format}}
}

func signals(s ...catalog.LimitSignal) catalog.Limits { return catalog.Limits{Signals: s} }

// R4.14: every family of limit signals. Values are as the providers send them.
func TestFamilies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		family string
		limits catalog.Limits
		header map[string]string
		want   []signal.Signal
	}{
		{"epoch seconds: GitHub", headers("X-RateLimit-", "epoch_seconds"), map[string]string{"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4999", "X-RateLimit-Reset": "1795523400"}, []signal.Signal{told(5000, 4999, 30*time.Minute)}},
		{"lower case: SendGrid", headers("x-ratelimit-", "epoch_seconds"), map[string]string{"x-ratelimit-limit": "600", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795521660"}, []signal.Signal{told(600, 0, time.Minute)}},
		{"x-rate-limit: X, Okta", headers("x-rate-limit-", "epoch_seconds"), map[string]string{"x-rate-limit-limit": "900", "x-rate-limit-remaining": "450", "x-rate-limit-reset": "1795521615"}, []signal.Signal{told(900, 450, 15*time.Second)}},
		{"epoch seconds with decimals: Discord", headers("X-RateLimit-", "epoch_seconds"), map[string]string{"X-RateLimit-Limit": "5", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795521600.250"}, []signal.Signal{told(5, 0, 250*time.Millisecond)}},
		{"epoch milliseconds: Mailgun", headers("X-RateLimit-", "epoch_milliseconds"), map[string]string{"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "25", "X-RateLimit-Reset": "1795521601500"}, []signal.Signal{told(100, 25, 1500*time.Millisecond)}},
		{"seconds to wait: Pipedrive", headers("x-ratelimit-", "seconds"), map[string]string{"x-ratelimit-limit": "80", "x-ratelimit-remaining": "40", "x-ratelimit-reset": "2"}, []signal.Signal{told(80, 40, 2*time.Second)}},
		{"HTTP date: Cloudflare", headers("X-RateLimit-", "http_date"), map[string]string{"X-RateLimit-Limit": "1200", "X-RateLimit-Remaining": "600", "X-RateLimit-Reset": "Tue, 24 Nov 2026 12:05:00 GMT"}, []signal.Signal{told(1200, 600, 5*time.Minute)}},
		{"ISO 8601: Jira", headers("X-RateLimit-", "iso8601"), map[string]string{"X-RateLimit-Limit": "100", "X-RateLimit-Remaining": "50", "X-RateLimit-Reset": "2026-11-24T12:01Z"}, []signal.Signal{told(100, 50, time.Minute)}},
		{"draft names, seconds: Resend", headers("ratelimit-", "seconds"), map[string]string{"ratelimit-limit": "2", "ratelimit-remaining": "1", "ratelimit-reset": "1"}, []signal.Signal{told(2, 1, time.Second)}},
		{"draft names, epoch: GitLab", headers("RateLimit-", "epoch_seconds"), map[string]string{"RateLimit-Limit": "60", "RateLimit-Remaining": "30", "RateLimit-Reset": "1795521630"}, []signal.Signal{told(60, 30, 30*time.Second)}},
		{"draft names, HTTP date: GoCardless", headers("RateLimit-", "http_date"), map[string]string{"RateLimit-Limit": "1000", "RateLimit-Remaining": "500", "RateLimit-Reset": "Tue, 24 Nov 2026 12:00:30 GMT"}, []signal.Signal{told(1000, 500, 30*time.Second)}},
		{
			"structured field: Close", signals(catalog.LimitSignal{Limit: "RateLimit limit", Remaining: "RateLimit remaining", Reset: "RateLimit reset", ResetFormat: "seconds"}),
			map[string]string{"RateLimit": "limit=100, remaining=50, reset=5"},
			[]signal.Signal{told(100, 50, 5*time.Second)},
		},
		{
			"structured field: Zendesk", signals(catalog.LimitSignal{For: "tickets", Limit: "Zendesk-RateLimit-Tickets-Index total", Remaining: "Zendesk-RateLimit-Tickets-Index remaining", Reset: "Zendesk-RateLimit-Tickets-Index resets", ResetFormat: "seconds"}),
			map[string]string{"Zendesk-RateLimit-Tickets-Index": "total=100; remaining=75; resets=41"},
			[]signal.Signal{named("tickets", told(100, 75, 41*time.Second))},
		},
		{"vendor prefix, epoch: Sentry", headers("X-Sentry-Rate-Limit-", "epoch_seconds"), map[string]string{"X-Sentry-Rate-Limit-Limit": "40", "X-Sentry-Rate-Limit-Remaining": "39", "X-Sentry-Rate-Limit-Reset": "1795521601"}, []signal.Signal{told(40, 39, time.Second)}},
		{"vendor prefix, seconds: Fitbit", headers("Fitbit-Rate-Limit-", "seconds"), map[string]string{"Fitbit-Rate-Limit-Limit": "150", "Fitbit-Rate-Limit-Remaining": "149", "Fitbit-Rate-Limit-Reset": "1478"}, []signal.Signal{told(150, 149, 1478*time.Second)}},
		{
			"vendor prefix, RFC 3339: Anthropic", signals(
				catalog.LimitSignal{For: "requests", Limit: "anthropic-ratelimit-requests-limit", Remaining: "anthropic-ratelimit-requests-remaining", Reset: "anthropic-ratelimit-requests-reset", ResetFormat: "iso8601"},
				catalog.LimitSignal{For: "input-tokens", Limit: "anthropic-ratelimit-input-tokens-limit", Remaining: "anthropic-ratelimit-input-tokens-remaining", Reset: "anthropic-ratelimit-input-tokens-reset", ResetFormat: "iso8601"}),
			map[string]string{
				"anthropic-ratelimit-requests-limit": "50", "anthropic-ratelimit-requests-remaining": "25", "anthropic-ratelimit-requests-reset": "2026-11-24T12:00:01Z",
				"anthropic-ratelimit-input-tokens-limit": "40000", "anthropic-ratelimit-input-tokens-remaining": "10000", "anthropic-ratelimit-input-tokens-reset": "2026-11-24T12:00:45Z",
			},
			[]signal.Signal{named("requests", told(50, 25, time.Second)), named("input-tokens", told(40000, 10000, 45*time.Second))},
		},
		{
			"milliseconds until reset: BigCommerce", signals(catalog.LimitSignal{Limit: "X-Rate-Limit-Requests-Quota", Remaining: "X-Rate-Limit-Requests-Left", Reset: "X-Rate-Limit-Time-Reset-Ms", ResetFormat: "milliseconds", Window: "X-Rate-Limit-Time-Window-Ms", WindowFormat: "milliseconds"}),
			map[string]string{"X-Rate-Limit-Requests-Quota": "150", "X-Rate-Limit-Requests-Left": "149", "X-Rate-Limit-Time-Reset-Ms": "29500", "X-Rate-Limit-Time-Window-Ms": "30000"},
			[]signal.Signal{lasting(30*time.Second, told(150, 149, 29500*time.Millisecond))},
		},
		{
			"window length only: HubSpot", signals(
				catalog.LimitSignal{Limit: "X-HubSpot-RateLimit-Max", Remaining: "X-HubSpot-RateLimit-Remaining", Window: "X-HubSpot-RateLimit-Interval-Milliseconds", WindowFormat: "milliseconds"},
				catalog.LimitSignal{For: "day", Limit: "X-HubSpot-RateLimit-Daily", Remaining: "X-HubSpot-RateLimit-Daily-Remaining"}),
			map[string]string{"X-HubSpot-RateLimit-Max": "100", "X-HubSpot-RateLimit-Remaining": "50", "X-HubSpot-RateLimit-Interval-Milliseconds": "10000", "X-HubSpot-RateLimit-Daily": "250000", "X-HubSpot-RateLimit-Daily-Remaining": "125000"},
			[]signal.Signal{lasting(10*time.Second, told(100, 50, 0)), named("day", told(250000, 125000, 0))},
		},
		{
			"window length in seconds: Datadog", signals(catalog.LimitSignal{Limit: "X-RateLimit-Limit", Remaining: "X-RateLimit-Remaining", Reset: "X-RateLimit-Reset", ResetFormat: "seconds", Window: "X-RateLimit-Period"}),
			map[string]string{"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "150", "X-RateLimit-Reset": "17", "X-RateLimit-Period": "60"},
			[]signal.Signal{lasting(time.Minute, told(300, 150, 17*time.Second))},
		},
		{
			"two scopes: Trello", signals(
				catalog.LimitSignal{For: "key", Limit: "X-Rate-Limit-Api-Key-Max", Remaining: "X-Rate-Limit-Api-Key-Remaining", Window: "X-Rate-Limit-Api-Key-Interval-Ms", WindowFormat: "milliseconds"},
				catalog.LimitSignal{For: "token", Limit: "X-Rate-Limit-Api-Token-Max", Remaining: "X-Rate-Limit-Api-Token-Remaining", Window: "X-Rate-Limit-Api-Token-Interval-Ms", WindowFormat: "milliseconds"}),
			map[string]string{"x-rate-limit-api-key-max": "300", "x-rate-limit-api-key-remaining": "299", "x-rate-limit-api-key-interval-ms": "10000", "x-rate-limit-api-token-max": "100", "x-rate-limit-api-token-remaining": "99", "x-rate-limit-api-token-interval-ms": "10000"},
			[]signal.Signal{named("key", lasting(10*time.Second, told(300, 299, 0))), named("token", lasting(10*time.Second, told(100, 99, 0)))},
		},
		{
			"pair: Shopify", signals(catalog.LimitSignal{Used: "X-Shopify-Shop-Api-Call-Limit 1", Limit: "X-Shopify-Shop-Api-Call-Limit 2"}),
			map[string]string{"X-Shopify-Shop-Api-Call-Limit": "32/40"},
			[]signal.Signal{told(40, 8, 0)},
		},
		{
			"pair with a key: Salesforce", signals(catalog.LimitSignal{Used: "Sforce-Limit-Info api-usage 1", Limit: "Sforce-Limit-Info api-usage 2"}),
			map[string]string{"Sforce-Limit-Info": "api-usage=1250/5000; per-app-api-usage=17/250(appName=sample-app)"},
			[]signal.Signal{told(5000, 3750, 0)},
		},
		{
			"two windows in one value: Strava", signals(
				catalog.LimitSignal{For: "quarter", Limit: "X-RateLimit-Limit 1", Used: "X-RateLimit-Usage 1"},
				catalog.LimitSignal{For: "day", Limit: "X-RateLimit-Limit 2", Used: "X-RateLimit-Usage 2"}),
			map[string]string{"X-RateLimit-Limit": "200,2000", "X-RateLimit-Usage": "50,1500"},
			[]signal.Signal{named("quarter", told(200, 150, 0)), named("day", told(2000, 500, 0))},
		},
		{
			"JSON, percent: Meta", signals(
				catalog.LimitSignal{For: "app", Used: "X-App-Usage call_count", Percent: true},
				catalog.LimitSignal{For: "business", Used: "X-Business-Use-Case-Usage @values.0.0.call_count", Percent: true, Reset: "X-Business-Use-Case-Usage @values.0.0.estimated_time_to_regain_access", ResetFormat: "minutes"}),
			map[string]string{"X-App-Usage": `{"call_count":25,"total_time":3,"total_cputime":2}`, "X-Business-Use-Case-Usage": `{"10001":[{"type":"messenger","call_count":100,"total_cputime":1,"total_time":1,"estimated_time_to_regain_access":19}]}`},
			[]signal.Signal{
				{For: "app", Remaining: -1, Used: -1, UsedPart: 0.25},
				{For: "business", Remaining: -1, Used: -1, UsedPart: 1, After: 19 * time.Minute},
			},
		},
		{
			"several dimensions: Linear", signals(
				catalog.LimitSignal{For: "requests", Limit: "X-RateLimit-Requests-Limit", Remaining: "X-RateLimit-Requests-Remaining", Reset: "X-RateLimit-Requests-Reset", ResetFormat: "epoch_milliseconds"},
				catalog.LimitSignal{For: "complexity", Limit: "X-RateLimit-Complexity-Limit", Remaining: "X-RateLimit-Complexity-Remaining", Reset: "X-RateLimit-Complexity-Reset", ResetFormat: "epoch_milliseconds"}),
			map[string]string{"X-RateLimit-Requests-Limit": "1500", "X-RateLimit-Requests-Remaining": "750", "X-RateLimit-Requests-Reset": "1795525200000", "X-RateLimit-Complexity-Limit": "250000", "X-RateLimit-Complexity-Remaining": "125000", "X-RateLimit-Complexity-Reset": "1795525200000"},
			[]signal.Signal{named("requests", told(1500, 750, time.Hour)), named("complexity", told(250000, 125000, time.Hour))},
		},
		{
			"duration text: OpenAI", signals(
				catalog.LimitSignal{For: "requests", Limit: "x-ratelimit-limit-requests", Remaining: "x-ratelimit-remaining-requests", Reset: "x-ratelimit-reset-requests", ResetFormat: "duration"},
				catalog.LimitSignal{For: "tokens", Limit: "x-ratelimit-limit-tokens", Remaining: "x-ratelimit-remaining-tokens", Reset: "x-ratelimit-reset-tokens", ResetFormat: "duration"}),
			map[string]string{"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59", "x-ratelimit-reset-requests": "120ms", "x-ratelimit-limit-tokens": "150000", "x-ratelimit-remaining-tokens": "75000", "x-ratelimit-reset-tokens": "6m0s"},
			[]signal.Signal{named("requests", told(60, 59, 120*time.Millisecond)), named("tokens", told(150000, 75000, 6*time.Minute))},
		},
		{
			"minute and day: SurveyMonkey, Xero", signals(
				catalog.LimitSignal{For: "minute", Remaining: "X-MinLimit-Remaining"},
				catalog.LimitSignal{For: "day", Remaining: "X-DayLimit-Remaining"}),
			map[string]string{"X-MinLimit-Remaining": "59", "X-DayLimit-Remaining": "4999"},
			[]signal.Signal{{For: "minute", Remaining: 59, Used: -1, UsedPart: -1}, {For: "day", Remaining: 4999, Used: -1, UsedPart: -1}},
		},
		{
			"limit only: SP-API", signals(catalog.LimitSignal{Limit: "x-amzn-RateLimit-Limit"}),
			map[string]string{"x-amzn-RateLimit-Limit": "0.5"},
			[]signal.Signal{{Limit: 0.5, Remaining: -1, Used: -1, UsedPart: -1}},
		},
		{
			"remaining only: Heroku", signals(catalog.LimitSignal{Remaining: "RateLimit-Remaining"}),
			map[string]string{"RateLimit-Remaining": "2400"},
			[]signal.Signal{{Remaining: 2400, Used: -1, UsedPart: -1}},
		},
		{
			"near the limit: Bitbucket", signals(catalog.LimitSignal{Limit: "X-RateLimit-Limit", Near: "X-RateLimit-NearLimit"}),
			map[string]string{"X-RateLimit-Limit": "1000", "X-RateLimit-NearLimit": "true"},
			[]signal.Signal{{Limit: 1000, Remaining: -1, Used: -1, UsedPart: 0.8}},
		},
		{
			"used and decimal remaining: Reddit", signals(catalog.LimitSignal{Used: "X-Ratelimit-Used", Remaining: "X-Ratelimit-Remaining", Reset: "X-Ratelimit-Reset", ResetFormat: "seconds"}),
			map[string]string{"X-Ratelimit-Used": "1", "X-Ratelimit-Remaining": "599.0", "X-Ratelimit-Reset": "583"},
			[]signal.Signal{{Remaining: 599, Used: 1, UsedPart: -1, After: 583 * time.Second}},
		},
		{
			"a policy beside the number: Pinterest", headers("x-ratelimit-", "seconds"),
			map[string]string{"x-ratelimit-limit": `100, 100;w=1;name="safety_net_app_id_user_id"`, "x-ratelimit-remaining": "99", "x-ratelimit-reset": "1"},
			[]signal.Signal{told(100, 99, time.Second)},
		},
		{"undeclared: the shared names, told by their looks", catalog.Limits{}, map[string]string{"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "5", "X-RateLimit-Reset": "1795521601"}, []signal.Signal{told(10, 5, time.Second)}},
		{"undeclared: milliseconds", catalog.Limits{}, map[string]string{"RateLimit-Limit": "10", "RateLimit-Remaining": "5", "RateLimit-Reset": "1795521601000"}, []signal.Signal{told(10, 5, time.Second)}},
		{"undeclared: seconds", catalog.Limits{}, map[string]string{"X-Rate-Limit-Limit": "10", "X-Rate-Limit-Remaining": "5", "X-Rate-Limit-Reset": "30"}, []signal.Signal{told(10, 5, 30*time.Second)}},
		{
			"undeclared: the IETF's field",
			catalog.Limits{},
			map[string]string{"RateLimit": `"default";r=50;t=30`, "RateLimit-Policy": `"default";q=100;w=60`},
			[]signal.Signal{lasting(time.Minute, told(100, 50, 30*time.Second))},
		},
		{"another limit: Okta's 0 of 0", headers("X-Rate-Limit-", "epoch_seconds"), map[string]string{"X-Rate-Limit-Limit": "0", "X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "1795521601"}, nil},
		{"nothing", headers("X-RateLimit-", "seconds"), map[string]string{"Content-Type": "application/json", "X-RateLimit-Reset": "5"}, nil},
	} {
		t.Run(c.family, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			for name, value := range c.header {
				h.Set(name, value)
			}
			got := signal.Compile(c.limits).Header(nil, h, now)
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// Signals in bodies, as profiles declare them.
func TestBodies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		family string
		signal catalog.LimitSignal
		body   string
		want   []signal.Signal
	}{
		{
			"Shopify GraphQL",
			catalog.LimitSignal{Body: true, For: "points", Limit: "extensions.cost.throttleStatus.maximumAvailable", Remaining: "extensions.cost.throttleStatus.currentlyAvailable"},
			`{"data":{},"extensions":{"cost":{"requestedQueryCost":101,"throttleStatus":{"maximumAvailable":2000.0,"currentlyAvailable":1500,"restoreRate":100.0}}}}`,
			[]signal.Signal{named("points", told(2000, 1500, 0))},
		},
		{
			"monday",
			catalog.LimitSignal{Body: true, Remaining: "data.complexity.after", Reset: "data.complexity.reset_in_x_seconds", ResetFormat: "seconds"},
			`{"data":{"complexity":{"before":5000000,"after":4999000,"reset_in_x_seconds":37}}}`,
			[]signal.Signal{{Remaining: 4999000, Used: -1, UsedPart: -1, After: 37 * time.Second}},
		},
		{"not JSON", catalog.LimitSignal{Body: true, Remaining: "left"}, `left: 4`, nil},
		{"nothing of it", catalog.LimitSignal{Body: true, Remaining: "left"}, `{"right":4}`, nil},
	} {
		t.Run(c.family, func(t *testing.T) {
			t.Parallel()
			p := signal.Compile(signals(c.signal))
			if !p.Reads() {
				t.Error("it says that it reads no bodies")
			}
			got := p.Body(nil, []byte(c.body), now)
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", c.want) {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
			if got := p.Header(nil, http.Header{"Left": {"4"}}, now); got != nil {
				t.Errorf("from headers: %+v", got)
			}
		})
	}
}

// What makes no sense is not believed.
func TestImplausible(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit, remaining, reset string
		want                    string
	}{
		{"100", "-5", "10", "limit 100, after 10s"},
		{"100", "101", "10", "limit 100, after 10s"},
		{"-100", "50", "10", "remaining 50, after 10s"},
		{"1e309", "50", "10", "remaining 50, after 10s"},
		{"NaN", "Inf", "10", ""},
		{"100", "50", "-1", "limit 100, remaining 50"},
		{"100", "50", "1000", "limit 100, remaining 50, after 16m40s"},
		{"100", "50", "33000000000", "limit 100, remaining 50"}, // in a thousand years
		{"100", "50", "99999999999999999999", "limit 100, remaining 50"},
		{"100", "50", "0", "limit 100, remaining 50"},
		{"100", "50", "soon", "limit 100, remaining 50"},
		{"", "", "10", ""},
	} {
		h := http.Header{"X-Ratelimit-Limit": {c.limit}, "X-Ratelimit-Remaining": {c.remaining}, "X-Ratelimit-Reset": {c.reset}}
		for _, format := range []string{"seconds", "epoch_seconds", "epoch_milliseconds"} {
			want := c.want
			if format != "seconds" { // these are no times in the future
				want, _ = cut(want, ", after")
			}
			got := signal.Compile(headers("X-RateLimit-", format)).Header(nil, h, now)
			if s := words(got); s != want {
				t.Errorf("%+v as %s: %q, want %q", c, format, s, want)
			}
		}
	}
}

func cut(s, sep string) (string, bool) {
	for i := range s {
		if i+len(sep) <= len(s) && s[i:i+len(sep)] == sep {
			return s[:i], true
		}
	}
	return s, false
}

func words(signals []signal.Signal) (text string) {
	add := func(format string, args ...any) {
		if text != "" {
			text += ", "
		}
		text += fmt.Sprintf(format, args...)
	}
	for _, s := range signals {
		if s.Limit > 0 {
			add("limit %g", s.Limit)
		}
		if s.Remaining >= 0 {
			add("remaining %g", s.Remaining)
		}
		if s.After != 0 {
			add("after %s", s.After)
		}
	}
	return text
}

// Times of the provider are compared with the provider's clock.
func TestClocksDiffer(t *testing.T) {
	t.Parallel()
	h := http.Header{"X-Ratelimit-Remaining": {"1"}, "X-Ratelimit-Reset": {"1795521630"}, "Date": {now.Add(-time.Minute).Format(http.TimeFormat)}}
	got := signal.Compile(headers("X-RateLimit-", "epoch_seconds")).Header(nil, h, now)
	if len(got) != 1 || got[0].After != 90*time.Second {
		t.Errorf("%+v, want 90s by the provider's clock", got)
	}
	h.Set("Date", now.Add(-1000*time.Hour).Format(http.TimeFormat)) // nonsense, or a cache
	got = signal.Compile(headers("X-RateLimit-", "epoch_seconds")).Header(nil, h, now)
	if len(got) != 1 || got[0].After != 30*time.Second {
		t.Errorf("%+v, want 30s by our clock", got)
	}
}

// Whatever a provider sends, the values are within their bounds.
func FuzzHeader(f *testing.F) {
	f.Add("100", "50", "10", "limit=100, remaining=50, reset=5", `{"a":[{"call_count":5}]}`, "32/40")
	f.Add("1e999", "-0", "99999999999999999999", `"default";r=50;t=30`, "{", "/")
	f.Add("0x10", "NaN", "2026-11-24T12:00:00Z", ";;==,", "[]", "200,2000")
	p := signal.Compile(signals(
		catalog.LimitSignal{Limit: "A", Remaining: "B", Reset: "C"},
		catalog.LimitSignal{Limit: "D limit", Remaining: "D r", Reset: "D t", Window: "D w"},
		catalog.LimitSignal{Used: "E @values.0.0.call_count", Percent: true, Near: "A"},
		catalog.LimitSignal{Used: "F 1", Limit: "F 2", Reset: "C", ResetFormat: "duration"},
		catalog.LimitSignal{Body: true, Used: "a.0.call_count", Limit: "b", Reset: "c", ResetFormat: "iso8601"},
	))
	f.Fuzz(func(t *testing.T, a, b, c, d, e, g string) {
		h := http.Header{"A": {a}, "B": {b}, "C": {c}, "D": {d, a}, "E": {e}, "F": {g}, "Date": {c}}
		for _, s := range append(p.Header(nil, h, now), p.Body(nil, []byte(e), now)...) {
			switch {
			case s.Limit < 0, s.Remaining < -1, s.UsedPart < 0 && s.UsedPart != -1, s.Used < 0 && s.Used != -1:
				t.Errorf("%+v: less than nothing", s)
			case math.IsNaN(s.Limit + s.Remaining + s.UsedPart + s.Used), math.IsInf(s.Limit+s.Remaining+s.UsedPart+s.Used, 0):
				t.Errorf("%+v: no number", s)
			case s.After < 0, s.After > signal.MaxAfter, s.Window < 0, s.Window > signal.MaxAfter:
				t.Errorf("%+v: out of time", s)
			case s.Limit > 0 && s.Remaining > s.Limit:
				t.Errorf("%+v: more left than there is", s)
			}
		}
	})
}

func BenchmarkNothing(b *testing.B) {
	p := signal.Compile(catalog.Limits{})
	h := http.Header{"Content-Type": {"application/json"}, "Date": {"Tue, 24 Nov 2026 12:00:00 GMT"}, "Content-Length": {"12"}}
	b.ReportAllocs()
	for b.Loop() {
		if p.Header(nil, h, now) != nil {
			b.Fatal("something")
		}
	}
}

func ExampleParser_Header() {
	p := signal.Compile(catalog.Limits{Signals: []catalog.LimitSignal{{Used: "X-Shopify-Shop-Api-Call-Limit 1", Limit: "X-Shopify-Shop-Api-Call-Limit 2"}}})
	h := http.Header{}
	h.Set("X-Shopify-Shop-Api-Call-Limit", "32/40")
	for _, s := range p.Header(nil, h, time.Now()) {
		fmt.Println(s.Remaining, "of", s.Limit)
	}
	// Output: 8 of 40
}
