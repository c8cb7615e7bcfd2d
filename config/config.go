// Package config is the one documented tree of settings of "sallyport serve".
//
// Every setting has a flag, an environment variable and a key in the file, all
// declared in one table; a flag wins over the variable, the variable over the
// file, the file over the default. Package cmd/sallyport reads it; everyone
// else takes plain values.
package config

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/sallyport/sallyport/plan"
)

// Config is what a gateway runs with. The zero value is not usable; Default
// gives the defaults.
type Config struct {
	Plans       string         // folder of plan files
	Environment string         // which environment of each plan
	Listen      string         // host:port of the HTTP server
	Database    string         // sqlite:PATH or postgres://…
	Redis       string         // redis:// URL that instances share limits and breakers through; empty: each for itself
	PublicURL   string         // how providers reach us; signs of URL-signing schemes need it
	Keyset      string         // where the master key is
	ErasureKeys string         // folder of erasure keys; empty: none
	ReturnURLs  []string       // where people may be sent after they connected
	BodyLimit   int64          // bytes of one API body
	Webhook     int64          // bytes of one webhook
	WebhookAll  int64          // bytes of all large webhooks that are under way
	Forwarders  []netip.Prefix // whose X-Forwarded headers are believed
	ProxyLimit  int64          // bytes of one proxied body; 0: any size
	ProxyDomain []string       // domains whose hosts SERVICE.DOMAIN are proxied
	Retention   bool           // whether what has had its time is deleted
	KeepCalls   time.Duration  // how long calls are kept after they ended; -1: for ever
	Queue       int            // webhooks that may wait for a commit
	Workers     int            // deliveries in hand at once
	Grace       time.Duration  // how long a stop waits for what is in hand
	MetricsOpen bool           // whether /metrics needs no key
	LogLevel    string         // debug, info, warn or error
	LogFormat   string         // auto, text or json
}

// Setting is one entry of the tree: how it is written, and what it means.
type Setting struct {
	Key     string // in the file; the flag is the same with "-" for "_"
	Default string // as it would be written
	Help    string // one line for --help
	Manual  string // more for the reference; may be empty
	set     func(c *Config, value string) error
}

// Flag is the command-line flag, without dashes.
func (s Setting) Flag() string { return strings.ReplaceAll(s.Key, "_", "-") }

// Variable is the environment variable.
func (s Setting) Variable() string { return "SALLYPORT_" + strings.ToUpper(s.Key) }

// Settings is the whole tree, in the order of the reference.
func Settings() []Setting {
	return []Setting{
		{
			Key: "plans", Default: "integrations", Help: "folder of plan files",
			Manual: "Every *.yaml file in it is one plan. A plan that does not load stops the start.",
			set:    func(c *Config, v string) error { c.Plans = v; return nil },
		},
		{
			Key: "environment", Default: "development", Help: "environment of each plan to run",
			Manual: "production, prod and live are the names that may hold live keys; every other name refuses them.",
			set:    func(c *Config, v string) error { c.Environment = v; return nil },
		},
		{
			Key: "listen", Default: "127.0.0.1:8080", Help: "address to listen on, host:port",
			Manual: "Port 0 takes a free one and prints it. The default is reachable from this machine only.",
			set: func(c *Config, v string) error {
				if _, _, err := net.SplitHostPort(v); err != nil {
					return errors.New("want host:port, such as 127.0.0.1:8080 or :8080")
				}
				c.Listen = v
				return nil
			},
		},
		{
			Key: "database", Default: "sqlite:sallyport.db", Help: "where to keep events and calls, sqlite:PATH or postgres://…",
			Manual: "A file and its -wal and -shm neighbours are made with mode 0600; keep them on a local disk. A PostgreSQL is shared by any number of instances: postgres://USER:PASSWORD@HOST:PORT/DATABASE, better in SALLYPORT_DATABASE than in a flag, with ?pool_max_conns=N for the size of the pool (16).",
			set: func(c *Config, v string) error {
				path, file := strings.CutPrefix(v, "sqlite:")
				if (!file || path == "") && !strings.HasPrefix(v, "postgres://") && !strings.HasPrefix(v, "postgresql://") {
					return errors.New("want sqlite:PATH or postgres://USER@HOST:PORT/DATABASE")
				}
				c.Database = v
				return nil
			},
		},
		{
			Key: "redis", Help: "redis://HOST:PORT to share limits and breakers with other instances",
			Manual: "rediss:// speaks TLS; a password stands in the URL or, better, in SALLYPORT_REDIS. Nothing is kept there alone: while Redis is away each instance keeps to its fair share, and says so.",
			set: func(c *Config, v string) error {
				if v != "" {
					u, err := url.Parse(v)
					if err != nil || u.Host == "" || u.Scheme != "redis" && u.Scheme != "rediss" {
						return errors.New("want redis://HOST:PORT or rediss://HOST:PORT")
					}
				}
				c.Redis = v
				return nil
			},
		},
		{
			Key: "public_url", Help: "how providers reach this gateway, such as https://hooks.example.com",
			Manual: "Needed by providers that sign the address they call. Empty: the scheme and host of the request are taken.",
			set: func(c *Config, v string) error {
				if v != "" {
					u, err := url.Parse(v)
					if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
						return errors.New("want an absolute http or https URL")
					}
				}
				c.PublicURL = strings.TrimSuffix(v, "/")
				return nil
			},
		},
		{
			Key: "keyset", Help: "master key that tenants' credentials are sealed with: file:PATH, env:NAME, vault-transit:MOUNT/KEY or aws-kms:ARN",
			Manual: "Empty makes one in a file beside the database, which only its owner may read, and says so; production refuses to. Keep a copy apart from the database: without the key nobody can read the credentials any more.",
			set:    func(c *Config, v string) error { c.Keyset = v; return nil },
		},
		{
			Key: "erasure_keys", Help: "folder of erasure keys, one a tenant, that makes an erased tenant unreadable in every copy of the database",
			Manual: "Made with: sallyport secrets erasure-keys FOLDER. All instances on a database need the same one, always; keep it out of the database's backups. Empty: see docs/security.md about backups.",
			set:    func(c *Config, v string) error { c.ErasureKeys = v; return nil },
		},
		{
			Key: "return_urls", Help: "addresses, divided by commas, that people may be sent to after they connected; * may end a path",
			set: func(c *Config, v string) error {
				c.ReturnURLs = nil
				for address := range strings.SplitSeq(v, ",") {
					if address = strings.TrimSpace(address); address == "" {
						continue
					}
					u, err := url.Parse(address)
					if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
						return fmt.Errorf("%q is no absolute http or https URL", address)
					}
					c.ReturnURLs = append(c.ReturnURLs, address)
				}
				return nil
			},
		},
		{
			Key: "trusted_forwarders", Help: "networks, divided by commas, of the proxies in front whose X-Forwarded headers are believed",
			Manual: "Addresses or CIDR: 10.0.0.0/8, 192.0.2.7. Only they may say by X-Forwarded-Proto and X-Forwarded-Host which address a provider called, where public_url is empty, and pass on its client certificate in Client-Cert, X-Forwarded-Client-Cert or Ssl-Client-Cert. They must replace what a stranger sends under these names.",
			set:    func(c *Config, v string) (err error) { c.Forwarders, err = parseNetworks(v); return err },
		},
		{
			Key: "body_limit", Default: "1MB", Help: "largest body of an API request",
			Manual: "Written with kB or MB; 25MB is the most. A larger body is answered 413.",
			set: func(c *Config, v string) (err error) {
				c.BodyLimit, err = parseSize(v)
				return err
			},
		},
		{
			Key: "webhook_limit", Default: "25MB", Help: "largest body of a webhook, inflated where it is compressed",
			Manual: "Written with kB or MB; 25MB is the most. A larger body is answered 413.",
			set: func(c *Config, v string) (err error) {
				c.Webhook, err = parseSize(v)
				return err
			},
		},
		{
			Key: "webhook_memory", Default: "256MB", Help: "what webhooks of more than 64 kB may hold together while they are under way",
			Manual: "Whoever knows the address can send large bodies before a signature is checked. Beyond this they are answered 503 with Retry-After; small ones are always taken. Written with MB, from 64MB.",
			set:    func(c *Config, v string) (err error) { c.WebhookAll, err = parseMemory(v); return err },
		},
		{
			Key: "proxy_body_limit", Default: "0", Help: "largest body of a proxied request; 0 takes any",
			Manual: "Proxied bodies are streamed, so their size costs no memory. Written with kB or MB, or 0.",
			set: func(c *Config, v string) (err error) {
				if v == "0" {
					c.ProxyLimit = 0
					return nil
				}
				c.ProxyLimit, err = parseSize(v)
				return err
			},
		},
		{
			Key: "proxy_domain", Help: "domains, divided by commas, whose hosts SERVICE.DOMAIN are proxied at their root",
			Manual: "For SDKs that take no base URL with a path. SERVICE.localhost always works on this machine; a domain needs a wildcard DNS record and certificate.",
			set: func(c *Config, v string) error {
				c.ProxyDomain = nil
				for domain := range strings.SplitSeq(v, ",") {
					if domain = strings.ToLower(strings.TrimSpace(domain)); domain == "" {
						continue
					}
					if strings.ContainsAny(domain, "/:@* ") || !strings.Contains(domain, ".") {
						return fmt.Errorf("%q is no domain; want a name such as proxy.example.com", domain)
					}
					c.ProxyDomain = append(c.ProxyDomain, domain)
				}
				return nil
			},
		},
		{
			Key: "retention", Default: "on", Help: "on, or off to keep everything for ever",
			Manual: "On deletes what has had its time: payloads and events as each plan says (webhooks.retention; 30 and 90 days when it says nothing), calls as retention_calls says. The first deletion in a database is announced in the log and waits for an hour. See docs/retention.md.",
			set: func(c *Config, v string) error {
				word, err := oneOf(v, "on", "off")
				c.Retention = word == "on"
				return err
			},
		},
		{
			Key: "retention_calls", Default: "90d", Help: "how long calls are kept after they ended, or \"forever\"",
			Manual: "At least 1d. Calls that may still be made, and those whose outcome nobody knows, stay. Notes about which credential was used go with them; the audit log never does.",
			set: func(c *Config, v string) error {
				if v == "forever" {
					c.KeepCalls = -1
					return nil
				}
				d, err := plan.ParseDuration(v)
				if err != nil || time.Duration(d) < 24*time.Hour {
					return errors.New("want a duration of at least 1d, such as 90d, or forever")
				}
				c.KeepCalls = time.Duration(d)
				return nil
			},
		},
		{
			Key: "metrics_open", Default: "off", Help: "on, to serve /metrics without an API key",
			Manual: "The figures name services, endpoints and destinations, and no tenant. Off: Prometheus sends an API key, of scope app or admin, as its bearer token. See docs/metrics.md.",
			set: func(c *Config, v string) error {
				word, err := oneOf(v, "on", "off")
				c.MetricsOpen = word == "on"
				return err
			},
		},
		{
			Key: "queue", Default: "4096", Help: "webhooks that may wait for a commit",
			Manual: "Beyond that the door answers 503 with Retry-After, so that the provider comes again.",
			set:    func(c *Config, v string) (err error) { c.Queue, err = between(v, 1, 1_000_000); return err },
		},
		{
			Key: "workers", Default: "32", Help: "deliveries in hand at once",
			set: func(c *Config, v string) (err error) { c.Workers, err = between(v, 1, 10_000); return err },
		},
		{
			Key: "grace", Default: "10s", Help: "how long a stop waits for what is in hand",
			set: func(c *Config, v string) error {
				d, err := time.ParseDuration(v)
				if err != nil || d < 0 {
					return errors.New("want a duration, such as 10s")
				}
				c.Grace = d
				return nil
			},
		},
		{
			Key: "log_level", Default: "info", Help: "debug, info, warn or error",
			set: func(c *Config, v string) (err error) {
				c.LogLevel, err = oneOf(v, "debug", "info", "warn", "error")
				return err
			},
		},
		{
			Key: "log_format", Default: "auto", Help: "auto, text or json",
			Manual: "auto is text at a terminal and JSON everywhere else.",
			set: func(c *Config, v string) (err error) {
				c.LogFormat, err = oneOf(v, "auto", "text", "json")
				return err
			},
		},
	}
}

// Default returns the configuration with every default.
func Default() Config {
	var c Config
	for _, s := range Settings() {
		if err := s.set(&c, s.Default); err != nil {
			panic("config: default of " + s.Key + ": " + err.Error())
		}
	}
	return c
}

// Load reads file (none when empty), the environment and the flags that were
// given, by key. The error lists every mistake with its place.
func Load(file string, lookup func(string) (string, bool), flags map[string]string) (Config, error) {
	c := Default()
	var problems []error
	written, err := read(file)
	if err != nil {
		return c, err
	}
	for _, s := range Settings() {
		place, value, given := "", "", false
		if v, ok := written[s.Key]; ok {
			place, value, given = file+": "+s.Key, v, true
			delete(written, s.Key)
		}
		if v, ok := lookup(s.Variable()); ok {
			place, value, given = s.Variable(), v, true
		}
		if v, ok := flags[s.Key]; ok {
			place, value, given = "--"+s.Flag(), v, true
		}
		if !given {
			continue
		}
		if err := s.set(&c, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %q: %w", place, value, err))
		}
	}
	for key := range written {
		problems = append(problems, fmt.Errorf("%s: %s: unknown key; the keys are %s", file, key, strings.Join(keys(), ", ")))
	}
	return c, errors.Join(problems...)
}

func read(file string) (map[string]string, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	written := map[string]any{}
	if err := yaml.NewDecoder(bytes.NewReader(b), yaml.Strict()).Decode(&written); err != nil && len(bytes.TrimSpace(b)) > 0 {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	out := make(map[string]string, len(written))
	for k, v := range written {
		switch v.(type) {
		case map[string]any, []any:
			return nil, fmt.Errorf("%s: %s: want a single value", file, k)
		}
		out[k] = fmt.Sprint(v)
	}
	return out, nil
}

func keys() []string {
	var out []string
	for _, s := range Settings() {
		out = append(out, s.Key)
	}
	return out
}

func between(v string, low, high int) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("want a whole number from %d to %d", low, high)
	}
	return n, nil
}

func oneOf(v string, allowed ...string) (string, error) {
	for _, a := range allowed {
		if v == a {
			return v, nil
		}
	}
	return "", fmt.Errorf("want one of %s", strings.Join(allowed, ", "))
}

func parseMemory(v string) (int64, error) {
	number, ok := strings.CutSuffix(v, "MB")
	n, err := strconv.ParseInt(number, 10, 32)
	if !ok || err != nil || n < 64 {
		return 0, errors.New("want a size of at least 64MB, such as 256MB")
	}
	return n * 1_000_000, nil
}

func parseNetworks(v string) (list []netip.Prefix, err error) {
	for text := range strings.SplitSeq(v, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		network, err := netip.ParsePrefix(text)
		if err != nil {
			address, err := netip.ParseAddr(text)
			if err != nil || address.Zone() != "" {
				return nil, fmt.Errorf("%q is neither an address nor a network such as 10.0.0.0/8", text)
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		list = append(list, network.Masked())
	}
	return list, nil
}

func parseSize(v string) (int64, error) {
	units := map[string]int64{"kB": 1000, "MB": 1_000_000}
	for unit, size := range units {
		if n, ok := strings.CutSuffix(v, unit); ok {
			count, err := strconv.ParseInt(n, 10, 32)
			if err == nil && count > 0 && count*size <= 25_000_000 {
				return count * size, nil
			}
		}
	}
	return 0, errors.New("want a size from 1kB to 25MB")
}
