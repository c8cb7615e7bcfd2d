package generate_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport/sallyport/generate"
	"github.com/sallyport/sallyport/plan"
)

// compiler installs tsc once, outside of the tree, and returns its folder; empty
// where there is no Node.
var compiler = sync.OnceValues(func() (string, error) {
	if _, err := exec.LookPath("npm"); err != nil {
		return "", nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "sallyport-test", "typescript-5.9.3")
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "typescript", "bin", "tsc")); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	cmd := exec.Command("npm", "install", "--no-audit", "--no-fund", "--prefix", tmp, "typescript@5.9.3", "@types/node@20.19.25")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", &exec.Error{Name: "npm install: " + string(out), Err: err}
	}
	if err := os.Rename(tmp, dir); err != nil && !os.IsExist(err) {
		if _, gone := os.Stat(dir); gone != nil {
			return "", err
		}
	}
	return dir, nil
})

// node runs a program of Node's in dir.
func node(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "node", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("node %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// R3.8: the TypeScript adapter type-checks strictly, for plans of all kinds, and
// takes deliveries that are signed and no others. It runs where Node is.
func TestTypeScript(t *testing.T) {
	t.Parallel()
	tools, err := compiler()
	if err != nil {
		t.Fatal(err)
	}
	if tools == "" {
		t.Log("there is no Node here: the TypeScript adapter was not checked")
		return
	}
	for name, p := range map[string]*plan.Plan{
		"stripe": load(t, "../plan/testdata/stripe.yaml"), "complete": load(t, "../plan/testdata/complete.yaml"), "hostile": parse(t, hostile),
		"slack": drawn(t, "../openapi/testdata/slack_web_openapi_v2.json.gz", "Post messages to channels, list channels and users"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files, err := generate.TypeScript(p, generate.Options{})
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if _, err := generate.Write(dir, files, false); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(filepath.Join(tools, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
				t.Fatal(err)
			}
			if name == "stripe" {
				if err := os.WriteFile(filepath.Join(dir, "try.ts"), []byte(tryDeliveries), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(dir, "package.json"), []byte(`{"type": "module"}`), 0o600); err != nil {
				t.Fatal(err)
			}
			sources, err := filepath.Glob(filepath.Join(dir, "*.ts"))
			if err != nil {
				t.Fatal(err)
			}
			args := append([]string{
				"node_modules/typescript/bin/tsc", "--strict", "--noUnusedLocals", "--exactOptionalPropertyTypes", "false", "--target", "es2022", "--lib", "es2022,dom",
				"--module", "nodenext", "--moduleResolution", "nodenext", "--types", "node", "--outDir", "js",
			}, sources...)
			node(t, dir, args...)
			if name == "stripe" {
				node(t, dir, "js/try.js")
			}
		})
	}
}

const tryDeliveries = `
import { createHmac } from "node:crypto";
import { receive, Client, type Handlers } from "./mapper.js";

const body = JSON.stringify({ specversion: "1.0", id: "e1", type: "stripe.invoice.paid", data: { status: "PAID" } });
const sign = (secret: string, at: number) => ({
  "webhook-id": "e1", "webhook-timestamp": String(at),
  "webhook-signature": "v1,bad v1," + createHmac("sha256", secret).update("e1." + at + "." + body).digest("base64"),
});
const now = Math.floor(Date.now() / 1000);
const seen: string[] = [];
const handlers: Handlers = { "stripe.invoice.paid": (event) => { seen.push(event.data.status ?? ""); } };
const expect = (what: string, got: unknown, want: unknown) => {
  if (got !== want) throw new Error(what + ": got " + got + ", want " + want);
};
expect("signed", await receive(sign("one", now), body, handlers, "one", "two"), 204);
expect("second secret", await receive(sign("two", now), Buffer.from(body), handlers, "one", "two"), 204);
expect("wrong", await receive(sign("three", now), body, handlers, "one", "two"), 401);
expect("no secret", await receive(sign("", now), body, handlers, ""), 401);
expect("old", await receive(sign("one", now - 3600), body, handlers, "one"), 401);
expect("no handler", await receive(sign("one", now), body, {}, "one"), 501);
expect("failing", await receive(sign("one", now), body, { other: () => { throw new Error(); } }, "one"), 500);
expect("seen", seen.join(), "PAID,PAID");
try { new Client({ url: "", key: "" }); throw new Error("no error"); } catch (e) { expect("client", e instanceof TypeError, true); }
`
