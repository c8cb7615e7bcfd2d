// Package layout keeps the house in order: it fails when a package imports
// another that it must not know, and says why.
package layout

import (
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sallyport/sallyport"

// rules name packages by their folder; "..." at the end takes those below it
// as well. A rule about a folder that no longer exists fails, so none can go
// stale.
var rules = []struct {
	pkg   string
	never []string
	why   string
}{
	{"integration", []string{module + "/...", "github.com/...", "golang.org/..."}, "the nouns stand on the standard library alone"},
	{"extract", []string{module + "/..."}, "a path into a request knows nothing of ours"},
	{"form", []string{module + "/..."}, "an encoding knows nothing of ours"},
	{"verify", []string{"database/sql", module + "/receive", module + "/send", module + "/store/..."}, "a signature is checked before anything is stored"},
	{"verify/keys", []string{"database/sql", module + "/send", module + "/store/..."}, "keys are fetched through a transport that is handed in"},
	{"handshake", []string{"database/sql", module + "/receive", module + "/send", module + "/store/..."}, "a handshake is thinking; who answers it keeps and visits"},
	{"catalog", []string{module + "/plan", module + "/openapi", module + "/verify", "net/http", "database/sql"}, "a profile is facts; it knows neither who reads it nor how"},
	{"catalog/compare", []string{module + "/plan", module + "/send", module + "/call", "database/sql"}, "comparing is thinking; it opens no sockets"},
	{"openapi", []string{module + "/catalog", module + "/plan", module + "/send", module + "/call", "net/http", "database/sql"}, "reading a document is thinking; what it refers to elsewhere is never asked for"},
	{"catalog/start", []string{module + "/send", module + "/call", "database/sql"}, "beginning a profile is thinking; it opens no sockets"},
	{"plan", []string{module + "/send", module + "/store/..."}, "planning is thinking; it opens no sockets and no database"},
	{"draft", []string{module + "/send", module + "/call", "database/sql"}, "drafting is thinking; it opens no sockets"},
	{"document", []string{module + "/send", module + "/call", "database/sql", "text/template", "html/template"}, "a document is made from a plan alone; templates would keep every method in the binary"},
	{"review", []string{module + "/send", module + "/call", "database/sql"}, "reviewing is thinking; it opens no sockets"},
	{"review/code", []string{"net/http", module + "/send", module + "/call", "database/sql"}, "what is scanned is never run, and nothing is fetched for it"},
	{"generate", []string{module + "/send", module + "/call", "net/http", "database/sql", "text/template"}, "generating is thinking; templates would keep every method in the binary"},
	{"diff", []string{module + "/send", module + "/call", "database/sql"}, "comparing is thinking; it opens no sockets"},
	{"classify", []string{module + "/store/...", module + "/send", module + "/call"}, "deciders are pure"},
	{"retry", []string{module + "/store/...", module + "/send", module + "/call"}, "deciders are pure"},
	{"conflict", []string{module + "/store/...", module + "/send", module + "/call"}, "deciders are pure"},
	{"drift", []string{"database/sql", module + "/store/...", module + "/send", module + "/call"}, "noticing opens nothing; a recorder is an interface"},
	{"cache", []string{"database/sql", module + "/store/...", module + "/send", module + "/call", module + "/limit", module + "/retry", module + "/classify", module + "/bulk", module + "/paginate"}, "a stage is handed the next one as a function; it knows no other"},
	{"bulk", []string{"database/sql", module + "/store/...", module + "/send", module + "/call", module + "/limit", module + "/retry", module + "/classify", module + "/cache", module + "/paginate"}, "a stage is handed the next one as a function; it knows no other"},
	{"paginate", []string{"database/sql", module + "/store/...", module + "/send", module + "/call", module + "/limit", module + "/retry", module + "/classify", module + "/cache", module + "/bulk"}, "a stage is handed the next one as a function; it knows no other"},
	{"breaker", []string{module + "/store/...", module + "/send", module + "/call", module + "/limit", "github.com/redis/..."}, "a breaker goes by what it is told; whom it tells is an interface"},
	{"breaker/redis", []string{module + "/store/...", module + "/send", module + "/call", module + "/limit"}, "stages do not know each other"},
	{"limit", []string{"database/sql", module + "/store/...", module + "/send", module + "/call", "github.com/redis/..."}, "what instances share is an interface; limit/redis and the stores satisfy it"},
	{"limit/signal", []string{module + "/limit", module + "/send", module + "/call"}, "headers are read without knowing what for"},
	{"limit/ledger", []string{"database/sql", "github.com/redis/...", module + "/store/..."}, "deciders are pure"},
	{"mapping", []string{"net/http", "database/sql"}, "mapping is pure"},
	{"receive", []string{"database/sql", module + "/store/...", module + "/deliver", module + "/call"}, "neighbours do not know each other; the root wires them"},
	{"deliver", []string{"database/sql", module + "/store/...", module + "/receive", module + "/call"}, "neighbours do not know each other; the root wires them"},
	{"call", []string{"database/sql", module + "/store/...", module + "/receive", module + "/deliver"}, "neighbours do not know each other; the root wires them"},
	{"call/queue", []string{"database/sql", module + "/store/...", module + "/call", module + "/receive", module + "/deliver", module + "/api", module + "/send"}, "who runs queued calls gives them their turn; how it is made, and where they are kept, are interfaces"},
	{"vault", []string{"database/sql", module + "/store/...", module + "/call", module + "/send", module + "/connect", module + "/credential/..."}, "a vault is handed where its keys are kept; it knows neither the database nor who uses a secret"},
	{"vault/hashicorp", []string{module + "/vault", module + "/store/...", module + "/plan", module + "/catalog"}, "a client of a server; who asks is above it"},
	{"vault/aws", []string{module + "/vault", module + "/store/...", module + "/plan", module + "/catalog"}, "a client of a service; who asks is above it"},
	{"reconcile", []string{"database/sql", module + "/store/...", module + "/receive", module + "/deliver", module + "/api", module + "/send"}, "who looks for lost events asks for a door, a queue and calls; the root wires them"},
	{"lease", []string{"database/sql", module + "/store/..."}, "the queue is an interface; the store satisfies it"},
	{"redact", []string{module + "/...", "database/sql"}, "taking values out of bytes knows nothing of ours"},
	{"retain", []string{"database/sql", module + "/store/...", module + "/plan", module + "/api"}, "who deletes what has had its time is told the times and handed the store"},
	{"store/pack", []string{module + "/...", "database/sql"}, "an encoding knows nothing of ours"},
	{"api", []string{"database/sql", module + "/store/..."}, "the API asks for what it needs through small interfaces"},
	{"credential/oauth", []string{"database/sql", module + "/store/...", module + "/send", module + "/call", module + "/connect", module + "/vault"}, "it makes requests and reads answers; who sends and keeps is not its concern"},
	{"connect", []string{"database/sql", module + "/store/...", module + "/send", module + "/call", module + "/receive", module + "/deliver", module + "/api"}, "connections are kept and sent for through interfaces"},
	{"api/connectpage", []string{module + "/...", "text/template", "html/template"}, "a page is written by hand; templates would keep every method in the binary"},
	{"sandbox", []string{module + "/store/...", module + "/call", module + "/receive", module + "/api", module + "/credential/...", module + "/connect"}, "the provider's stand-in must not share code with what it tests, but for the signature scheme"},
	{"store/postgres", []string{module + "/api", module + "/call", module + "/receive", module + "/deliver", module + "/store/sqlite"}, "a store satisfies interfaces; it does not know who asks"},
	{"store/sqlite", []string{module + "/api", module + "/call", module + "/receive", module + "/deliver"}, "a store satisfies interfaces; it does not know who asks"},
}

// sqlOnly are the only folders that may import a database driver or database/sql:
// the stores, and the limits they are measured against.
var sqlOnly = []string{"store", "test/bench"}

func TestImportsPointOneWay(t *testing.T) {
	t.Parallel()
	imports := list(t)
	for _, rule := range rules {
		deps, ok := imports[module+"/"+rule.pkg]
		if !ok {
			t.Errorf("there is no package %s any more: mend the rule", rule.pkg)
			continue
		}
		for _, dep := range deps {
			for _, never := range rule.never {
				if matches(dep, never) {
					t.Errorf("%s imports %s: %s", rule.pkg, dep, rule.why)
				}
			}
		}
	}
}

func TestOnlyStoresSpeakSQL(t *testing.T) {
	t.Parallel()
	for pkg, deps := range list(t) {
		folder := strings.TrimPrefix(pkg, module+"/")
		if slices.ContainsFunc(sqlOnly, func(s string) bool { return folder == s || strings.HasPrefix(folder, s+"/") }) {
			continue
		}
		for _, dep := range deps {
			if dep == "database/sql" || strings.HasPrefix(dep, "modernc.org/sqlite") || strings.HasPrefix(dep, "github.com/jackc/") {
				t.Errorf("%s imports %s: SQL stands in store alone", folder, dep)
			}
		}
	}
}

func TestNoDrawerPackages(t *testing.T) {
	t.Parallel()
	for pkg := range list(t) {
		if name := path.Base(pkg); slices.Contains([]string{"util", "utils", "common", "types", "models", "helpers", "misc"}, name) {
			t.Errorf("package %s: name it for one idea, or move what is in it to its user", pkg)
		}
	}
}

// list returns the direct imports of each package of the module, tests left out.
func list(t *testing.T) map[string][]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, module+"/...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	imports := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		imports[fields[0]] = fields[1:]
	}
	if len(imports) < 10 {
		t.Fatalf("go list found %d packages; looking in the wrong folder", len(imports))
	}
	return imports
}

func matches(dep, pattern string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/..."); ok {
		return dep == prefix || strings.HasPrefix(dep, prefix+"/")
	}
	return dep == pattern
}
