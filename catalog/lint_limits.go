package catalog

import (
	"fmt"
	"slices"
	"strings"
)

func (l *linter) limits(limits *Limits) {
	seen := map[string]bool{}
	for i := range limits.List {
		path, limit := fmt.Sprintf("limits.list[%d]", i), &limits.List[i]
		if !slug.MatchString(limit.Name) {
			l.add(path+".name", "slug", "%q is no slug", limit.Name)
		}
		if seen[limit.Name] {
			l.add(path+".name", "unique", "a second limit called %q", limit.Name)
		}
		seen[limit.Name] = true
		l.limit(path, limit)
	}
	for _, status := range limits.Status {
		l.status("limits.status", status)
	}
	l.oneOf("limits.retry_after", limits.RetryAfter, retryAfters)
	if h := limits.Headers; h != nil {
		l.header("limits.headers.limit", h.Limit, true)
		l.header("limits.headers.used", h.Used, true)
		l.header("limits.headers.remaining", h.Remaining, true)
		l.header("limits.headers.reset", h.Reset, true)
		l.oneOf("limits.headers.reset_format", h.ResetFormat, resetFormats)
		if (h.Reset == "") != (h.ResetFormat == "") {
			l.add("limits.headers.reset_format", "required", "reset and reset_format belong together")
		}
	}
	for i := range limits.Signals {
		l.limitSignal(fmt.Sprintf("limits.signals[%d]", i), &limits.Signals[i], seen)
	}
	l.signal("limits.signal", limits.Signal)
}

func (l *linter) limit(path string, limit *Limit) {
	if limit.Limit <= 0 {
		l.add(path+".limit", "limit", "%d is no limit: write a whole number above 0", limit.Limit)
	}
	concurrent := limit.Unit == "concurrent"
	if concurrent && limit.Window != 0 {
		l.add(path+".window_s", "limit", "requests in flight have no window: leave it out")
	}
	if !concurrent && limit.Window <= 0 {
		l.add(path+".window_s", "limit", "%d is no window: write seconds above 0", limit.Window)
	}
	for _, scope := range strings.Split(limit.Scope, "+") {
		if !slug.MatchString(scope) {
			l.add(path+".scope", "slug", "%q is no scope: words such as account or user, joined by +", limit.Scope)
		}
	}
	l.oneOf(path+".unit", limit.Unit, limitUnits)
	for _, e := range limit.Environments {
		l.oneOf(path+".environments", e, environments)
	}
	l.pathPrefixes(path+".paths", limit.Paths)
	if limit.Burst < 0 || limit.Burst > limit.Limit {
		l.add(path+".burst", "limit", "%d is no burst: write a number up to the limit, or leave it out for the whole limit at once", limit.Burst)
	}
	for i, c := range limit.Costs {
		here := fmt.Sprintf("%s.costs[%d]", path, i)
		if !(c.Cost >= 0) {
			l.add(here+".cost", "limit", "%g is no cost: write 0 or more", c.Cost)
		}
		l.pathPrefixes(here+".paths", c.Paths)
		if concurrent || limit.Unit == "" || limit.Unit == "requests" {
			l.add(here, "limit", "a request is one request: costs need a unit such as points")
		}
	}
}

func (l *linter) pathPrefixes(path string, prefixes []string) {
	for _, prefix := range prefixes {
		if !strings.HasPrefix(prefix, "/") {
			l.add(path, "path", "%q must begin with /", prefix)
		}
	}
}

func (l *linter) limitSignal(path string, s *LimitSignal, limits map[string]bool) {
	if s.For != "" && !limits[s.For] {
		l.add(path+".for", "reference", "there is no limit %q in the list", s.For)
	}
	places := []string{s.Limit, s.Used, s.Remaining, s.Near, s.Reset, s.Window}
	if !slices.ContainsFunc([]string{s.Used, s.Remaining, s.Near, s.Limit}, func(place string) bool { return place != "" }) {
		l.add(path, "required", "it tells nothing: name the place of what is used, of what remains, or of the limit")
	}
	for _, place := range places {
		if name, _, _ := strings.Cut(place, " "); !s.Body && place != "" && !headerName.MatchString(name) {
			l.add(path, "header", "%q is no header name", name)
		}
	}
	l.oneOf(path+".reset_format", s.ResetFormat, resetFormats)
	l.oneOf(path+".window_format", s.WindowFormat, []string{"", "milliseconds", "seconds"})
	if s.Percent && s.Used == "" {
		l.add(path+".percent", "required", "percent of what? Name the place of what is used")
	}
}
