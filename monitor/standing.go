package monitor

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Source tells how things stand.
type Source interface {
	Standing(ctx context.Context) (Snapshot, error)
}

// Snapshot is how things stand at one moment. What it leaves out has no metric.
type Snapshot struct {
	Services []Service
	Sizes    *Sizes // of the store; nil: not known
	Unknown  int64  // requests to addresses at which nothing is taken, since the start
}

// Service is how one service stands. Zero times are those of what has not been.
type Service struct {
	Name          string
	Door          map[string]int64 // requests since the start, by verdict
	Events        map[string]int   // events that are kept, by status
	OldestDue     time.Time        // since when the event that waits longest is due
	Calls         map[string]int   // calls that are kept, by state
	OldestCall    time.Time        // since when the call that waits longest is due
	Connections   map[string]int   // by state; nil: there are none
	Subscriptions *Subscriptions   // nil: none are looked after
	Reconcile     *Reconcile       // nil: no list is read
	Breakers      map[string]int   // hosts, by the breaker's state
	Limits        []Limit
	Cache         map[string]int64 // reads since the start, by what answered
	Retries       int64            // retries that the budget refused, since the start
}

// Subscriptions is how it stands with what is subscribed to (R5.15).
type Subscriptions struct {
	Total       int
	Connections int // of tenants, with a subscription
	Failing     int
	Expires     time.Time // when the first ends unless it is renewed
}

// Reconcile is how it stands with events that never came (R5.14).
type Reconcile struct {
	Found    int64 // ever
	Failures int   // runs that failed one after the other
	LastRun  time.Time
	Mark     time.Time     // the provider's time up to which nothing is missing
	Lag      time.Duration // the longest from an event to its being found, in the last run that found some
}

// Limit is how much of our share of a provider's limit is used.
type Limit struct {
	Name    string
	Used    float64
	Share   float64
	Waiting int
	Refused uint64 // since the start
}

// Sizes is how large the store is, in bytes; negative ones are not known.
type Sizes struct {
	Bytes, Free, Log int64
	Tables           map[string]int64 // bytes; nil: not known
}

// figure is one metric that is read from a Snapshot.
type figure struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(s *Service, now time.Time, emit emit)
}

// emit gives a value, with the labels after the service's name.
type emit func(value float64, labels ...string)

// standing collects from a Source.
type standing struct {
	config  Config
	figures []figure
	whole   map[string]*prometheus.Desc

	mu    sync.Mutex
	at    time.Time
	last  Snapshot
	error bool
}

// scrapeTimeout bounds how long a scrape waits for its Source.
const scrapeTimeout = 10 * time.Second

func newStanding(c Config) *standing {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &standing{config: c, figures: figures(), whole: map[string]*prometheus.Desc{
		"failed": desc("sallyport_scrape_failed", "1 when it could not be read how things stand; the figures of that are missing then."),
		"at":     desc("sallyport_standing_timestamp_seconds", "When it was read how things stand, in seconds since 1970."),
		"nobody": desc("sallyport_webhook_unknown_address_total", "Requests to webhook addresses at which nothing is taken, since the start."),
		"bytes":  desc("sallyport_store_bytes", "Bytes of the database on its disk."),
		"free":   desc("sallyport_store_free_bytes", "Bytes of the database that are used again before it grows."),
		"log":    desc("sallyport_store_log_bytes", "Bytes of the database's write-ahead log."),
		"table":  desc("sallyport_store_table_bytes", "Bytes of a table with its indexes.", "table"),
	}}
}

// Describe names no metric ahead: which there are depends on the plans.
func (*standing) Describe(chan<- *prometheus.Desc) {}

// Collect asks the Source, or gives what it said a moment ago.
func (s *standing) Collect(out chan<- prometheus.Metric) {
	snapshot, at, failed := s.read()
	gauge := func(name string, value float64, labels ...string) {
		kind := prometheus.GaugeValue
		if name == "nobody" {
			kind = prometheus.CounterValue
		}
		out <- prometheus.MustNewConstMetric(s.whole[name], kind, value, labels...)
	}
	if failed {
		gauge("failed", 1)
		return
	}
	gauge("failed", 0)
	gauge("at", seconds(at))
	gauge("nobody", float64(snapshot.Unknown))
	if size := snapshot.Sizes; size != nil {
		for name, value := range map[string]int64{"bytes": size.Bytes, "free": size.Free, "log": size.Log} {
			if value >= 0 {
				gauge(name, float64(value))
			}
		}
		for table, bytes := range size.Tables {
			if bytes >= 0 {
				gauge("table", float64(bytes), table)
			}
		}
	}
	for i := range snapshot.Services {
		one := &snapshot.Services[i]
		for _, f := range s.figures {
			told := map[string]bool{}
			f.read(one, at, func(value float64, labels ...string) {
				key := strings.Join(labels, "\x00")
				if told[key] { // twice the same would spoil the whole scrape
					return
				}
				told[key] = true
				out <- prometheus.MustNewConstMetric(f.desc, f.kind, value, append([]string{one.Name}, labels...)...)
			})
		}
	}
}

// read is the snapshot, when it was made, and whether there is none.
func (s *standing) read() (Snapshot, time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.config.Now()
	if !s.at.IsZero() && now.Sub(s.at) < s.config.Fresh && !now.Before(s.at) {
		return s.last, s.at, s.error
	}
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	snapshot, err := s.config.Source.Standing(ctx)
	if err != nil {
		s.config.Failed(err)
	}
	s.last, s.at, s.error = snapshot, now, err != nil
	return s.last, s.at, s.error
}

// seconds is a time as Prometheus has it.
func seconds(at time.Time) float64 { return float64(at.UnixMilli()) / 1000 }

// figures are those of a service.
func figures() []figure {
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	figureOf := func(name, help string, kind prometheus.ValueType, read func(*Service, time.Time, emit), labels ...string) figure {
		return figure{prometheus.NewDesc(name, help, append([]string{"service"}, labels...), nil), kind, read}
	}
	return []figure{
		figureOf("sallyport_webhooks_total", "Requests at the webhook doors since the start, by what became of them.", counter, func(s *Service, _ time.Time, emit emit) { each(s.Door, emit) }, "verdict"),
		figureOf("sallyport_events", "Events that are kept, by status.", gauge, func(s *Service, _ time.Time, emit emit) { each(s.Events, emit) }, "status"),
		figureOf("sallyport_events_oldest_due_seconds", "For how long the event that waits longest is due; 0 when none waits.", gauge, func(s *Service, now time.Time, emit emit) { emit(age(s.OldestDue, now)) }),
		figureOf("sallyport_calls", "Calls that are kept, by state.", gauge, func(s *Service, _ time.Time, emit emit) { each(s.Calls, emit) }, "state"),
		figureOf("sallyport_calls_oldest_due_seconds", "For how long the call that waits longest is due; 0 when none waits.", gauge, func(s *Service, now time.Time, emit emit) { emit(age(s.OldestCall, now)) }),
		figureOf("sallyport_connections", "Connections of tenants, by state.", gauge, func(s *Service, _ time.Time, emit emit) { each(s.Connections, emit) }, "state"),
		figureOf("sallyport_subscriptions", "Subscriptions at the provider.", gauge, subscribed(func(s *Subscriptions) float64 { return float64(s.Total) })),
		figureOf("sallyport_subscribed_connections", "Connections of tenants with a subscription at the provider.", gauge, subscribed(func(s *Subscriptions) float64 { return float64(s.Connections) })),
		figureOf("sallyport_subscriptions_failing", "Subscriptions that are not as the plan wants, because the provider refused.", gauge, subscribed(func(s *Subscriptions) float64 { return float64(s.Failing) })),
		figureOf("sallyport_subscriptions_expiry_timestamp_seconds", "When the first subscription ends unless it is renewed, in seconds since 1970.", gauge, func(s *Service, _ time.Time, emit emit) {
			if s.Subscriptions != nil && !s.Subscriptions.Expires.IsZero() {
				emit(seconds(s.Subscriptions.Expires))
			}
		}),
		figureOf("sallyport_reconcile_found_total", "Events that never came and were found in the provider's list.", counter, reconciled(func(r *Reconcile) float64 { return float64(r.Found) })),
		figureOf("sallyport_reconcile_failures", "Readings of the provider's list that failed, one after the other.", gauge, reconciled(func(r *Reconcile) float64 { return float64(r.Failures) })),
		figureOf("sallyport_reconcile_lag_seconds", "The longest time from an event to its being found, in the last run that found some.", gauge, reconciled(func(r *Reconcile) float64 { return r.Lag.Seconds() })),
		figureOf("sallyport_reconcile_last_success_timestamp_seconds", "When the provider's list was last read to its end, in seconds since 1970; of several accounts the oldest.", gauge, func(s *Service, _ time.Time, emit emit) {
			if s.Reconcile != nil && !s.Reconcile.LastRun.IsZero() {
				emit(seconds(s.Reconcile.LastRun))
			}
		}),
		figureOf("sallyport_breakers", "Hosts that were called lately, by the state of their breaker.", gauge, func(s *Service, _ time.Time, emit emit) { each(s.Breakers, emit) }, "state"),
		figureOf("sallyport_limit_used_ratio", "How much of our share of a provider's limit is used, of the fullest bucket.", gauge, limits(func(l *Limit) float64 { return l.Used / max(l.Share, 1e-9) }), "limit"),
		figureOf("sallyport_limit_waiting", "Callers that wait for a limit.", gauge, limits(func(l *Limit) float64 { return float64(l.Waiting) }), "limit"),
		figureOf("sallyport_limit_refused_total", "Callers turned away because of a limit, since the start.", counter, limits(func(l *Limit) float64 { return float64(l.Refused) }), "limit"),
		figureOf("sallyport_cache_reads_total", "Reads of endpoints with a cache, by what answered, since the start.", counter, func(s *Service, _ time.Time, emit emit) { each(s.Cache, emit) }, "from"),
		figureOf("sallyport_retries_refused_total", "Retries that were not made because of the retry budget, since the start.", counter, func(s *Service, _ time.Time, emit emit) { emit(float64(s.Retries)) }),
	}
}

func each[N int | int64](all map[string]N, emit emit) {
	for label, n := range all {
		emit(float64(n), label)
	}
}

// age is how long ago something was; 0 for what has not been.
func age(since, now time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return max(0, now.Sub(since).Seconds())
}

func subscribed(read func(*Subscriptions) float64) func(*Service, time.Time, emit) {
	return func(s *Service, _ time.Time, emit emit) {
		if s.Subscriptions != nil {
			emit(read(s.Subscriptions))
		}
	}
}

func reconciled(read func(*Reconcile) float64) func(*Service, time.Time, emit) {
	return func(s *Service, _ time.Time, emit emit) {
		if s.Reconcile != nil {
			emit(read(s.Reconcile))
		}
	}
}

func limits(read func(*Limit) float64) func(*Service, time.Time, emit) {
	return func(s *Service, _ time.Time, emit emit) {
		for i := range s.Limits {
			emit(read(&s.Limits[i]), s.Limits[i].Name)
		}
	}
}
