package document_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/sallyport/sallyport/document"
)

const axeVersion = "4.14.1"

// axeSource installs axe-core once, outside of the tree, and returns its script;
// empty where there is no Node.
var axeSource = sync.OnceValues(func() (string, error) {
	if _, err := exec.LookPath("npm"); err != nil {
		return "", nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "sallyport-test", "axe-core-"+axeVersion)
	script := filepath.Join(dir, "node_modules", "axe-core", "axe.min.js")
	if b, err := os.ReadFile(script); err == nil {
		return string(b), nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	cmd := exec.Command("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", tmp, "axe-core@"+axeVersion)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm install: %w: %s", err, out)
	}
	if err := os.Rename(tmp, dir); err != nil && !os.IsExist(err) {
		return "", err
	}
	b, err := os.ReadFile(script)
	return string(b), err
})

// browser starts Chromium; ok is false where there is none.
func browser(t *testing.T) (ctx context.Context, ok bool) {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		return nil, false
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox)
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	return ctx, true
}

func do(ctx context.Context, t *testing.T, actions ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	if err := chromedp.Do(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

func evaluate[T any](ctx context.Context, t *testing.T, script string, options ...chromedp.EvaluateOption) T {
	t.Helper()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script, options...))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// scheme asks for light or dark colours, or for paper.
func scheme(ctx context.Context, t *testing.T, medium, colours string) {
	t.Helper()
	do(ctx, t, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Media: medium, Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: colours}},
		})
		return err
	}))
}

// violation is what axe reports.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML string }
}

// R8.1: everybody can read the page, in each scheme, folded and unfolded; it
// loads nothing and throws nothing. Pictures and the printed pages are left with
// go test -artifacts. It runs where Chromium and Node are.
func TestPageInABrowser(t *testing.T) {
	t.Parallel()
	axe, err := axeSource()
	if err != nil {
		t.Fatal(err)
	}
	ctx, ok := browser(t)
	if !ok || axe == "" {
		t.Log("there is no Chromium or no Node here: the page was not looked at")
		return
	}
	pages := map[string][]byte{}
	for name, p := range plans(t) {
		html, err := document.HTML(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		pages[name] = html
	}
	dir := t.ArtifactDir()
	for _, name := range []string{"stripe", "github", "slack"} {
		html, ok := pages[name]
		if !ok {
			t.Fatalf("there is no plan %s", name)
		}
		file := filepath.Join(dir, name+".html")
		if err := os.WriteFile(file, html, 0o600); err != nil {
			t.Fatal(err)
		}
		do(ctx, t, chromedp.EmulateViewport(1280, 800), chromedp.Navigate("file://"+file))
		if n := evaluate[int](ctx, t, `performance.getEntriesByType("resource").length`); n != 0 {
			t.Errorf("%s: the page loads %d things", name, n)
		}
		fits(ctx, t, name)
		do(ctx, t, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
			_, err := chromedp.Evaluate[any](axe+"; null")(ctx, target)
			return err
		}))
		for _, colours := range []string{"light", "dark"} {
			scheme(ctx, t, "screen", colours)
			for _, folded := range []bool{true, false} {
				evaluate[any](ctx, t, fmt.Sprintf(`document.querySelectorAll("details").forEach(d => d.open = %t); null`, !folded))
				for _, v := range evaluate[[]violation](ctx, t, `axe.run().then(r => r.violations.map(v => ({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.map(n => ({html: n.html}))})))`, chromedp.EvalAwaitPromise) {
					t.Errorf("%s, %s, folded %t: %s (%s): %s, %d times, first %.200s", name, colours, folded, v.ID, v.Impact, v.Help, len(v.Nodes), v.Nodes[0].HTML)
				}
			}
			evaluate[any](ctx, t, foldAll)
			picture(ctx, t, filepath.Join(dir, name+"-first-"+colours+".png"), chromedp.CaptureScreenshot())
		}
		scheme(ctx, t, "screen", "light")
		noticed(ctx, t, name)
		picture(ctx, t, filepath.Join(dir, name+"-desktop.png"), chromedp.FullScreenshot(100))
		do(ctx, t, chromedp.EmulateViewport(390, 844))
		if wide := evaluate[int](ctx, t, `document.documentElement.scrollWidth`); wide > 390 {
			t.Errorf("%s: the page is %d wide on a phone of 390", name, wide)
		}
		picture(ctx, t, filepath.Join(dir, name+"-phone.png"), chromedp.FullScreenshot(100))
		printed(ctx, t, filepath.Join(dir, name+".pdf"))
	}
}

const foldAll = `document.querySelectorAll("details").forEach(d => d.open = false); null`

// noticed plants a fault, so that silence of axe means something.
func noticed(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	evaluate[any](ctx, t, `document.querySelector("main").insertAdjacentHTML("beforeend", "<p id=planted style='color:#ccc;background:#fff'>pale</p>"); null`)
	if n := evaluate[int](ctx, t, `axe.run("#planted").then(r => r.violations.filter(v => v.id === "color-contrast").length)`, chromedp.EvalAwaitPromise); n != 1 {
		t.Errorf("%s: axe does not see a pale text", name)
	}
	evaluate[any](ctx, t, `document.getElementById("planted").remove(); null`)
}

// fits sees to it that what must be on the first screen is.
func fits(ctx context.Context, t *testing.T, name string) {
	t.Helper()
	bottoms := evaluate[map[string]float64](ctx, t, `Object.fromEntries([...document.querySelectorAll("section[aria-labelledby=summary] tbody tr")].map(r => [r.cells[0].textContent, r.getBoundingClientRect().bottom]))`)
	for what, bottom := range bottoms {
		if bottom > 800 {
			t.Errorf("%s: %q ends at %.0f of 800, below the first screen", name, what, bottom)
		}
	}
	for _, what := range []string{"Provider", "Decision", "Calls", "Open questions", "Checks"} {
		if _, ok := bottoms[what]; !ok {
			t.Errorf("%s: the first screen does not say %q", name, what)
		}
	}
}

func picture(ctx context.Context, t *testing.T, file string, shot chromedp.Action[[]byte]) {
	t.Helper()
	b, err := chromedp.Run(ctx, shot)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// printed writes the page as PDF, and sees that folded tables are in it.
func printed(ctx context.Context, t *testing.T, file string) {
	t.Helper()
	scheme(ctx, t, "print", "light")
	for _, s := range evaluate[[]string](ctx, t, `[...document.querySelectorAll("details .frame")].filter(f => f.checkVisibility() === false || f.getBoundingClientRect().height < 10).map(f => f.getAttribute("aria-label"))`) {
		t.Errorf("%q is not on paper", s)
	}
	scheme(ctx, t, "", "light")
	do(ctx, t, chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		r, err := cdp.Call(ctx, target, page.PrintToPDF, page.PrintToPDFParams{})
		if err != nil {
			return err
		}
		return os.WriteFile(file, r.Data, 0o600)
	}))
}
