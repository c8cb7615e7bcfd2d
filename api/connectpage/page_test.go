package connectpage_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/sallyport/sallyport/api/connectpage"
)

var form = connectpage.Form{
	Service: `Aç<b>me</b>"`, Problems: []string{"<script>alert(1)</script>"},
	Fields: []connectpage.Field{
		{Name: "api_key", Label: "API key", Secret: true, Value: "never-shown"},
		{Name: "shop", Label: `Shop "x"`, Value: `"><script>alert(1)</script>`, Hint: "For example acme"},
		{Name: "private_key", Label: "Private key", Lines: true, Secret: true, Optional: true},
		{Name: "site", Label: "Site", Values: []string{"eu", "us"}, Value: "us"},
	},
}

// What others wrote is text on the page, and no secret is put into it.
func TestForm(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	connectpage.WriteForm(w, http.StatusOK, form)
	page := w.Body.String()
	for _, bad := range []string{"<script", "<b>me", "never-shown", "http:", "https:", "javascript:"} {
		if strings.Contains(page, bad) {
			t.Errorf("%q is on the page:\n%s", bad, page)
		}
	}
	if !strings.Contains(w.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'") {
		t.Error("the page may be framed")
	}
}

func FuzzForm(f *testing.F) {
	f.Add("a", "b", "c")
	f.Add(`"><script>`, "'", "\u202e")
	f.Fuzz(func(t *testing.T, service, label, value string) {
		w := httptest.NewRecorder()
		connectpage.WriteForm(w, http.StatusOK, connectpage.Form{Service: service, Problems: []string{value}, Fields: []connectpage.Field{{Name: "n", Label: label, Value: value}}})
		if strings.Contains(w.Body.String(), "<script") {
			t.Errorf("%q %q %q", service, label, value)
		}
	})
}

// The page in a browser: filled in by its labels, sent without a script, nothing
// refused by its own policy, and the browser goes on by itself in the end.
func TestInBrowser(t *testing.T) {
	t.Parallel()
	program := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		t.Log("there is no browser here; what is tested without one is in the other tests")
		return
	}
	got := make(chan url.Values, 1)
	arrived := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/done" && r.Header.Get("Referer") != "" {
			t.Errorf("the address of the page was told: %s", r.Header.Get("Referer"))
		}
		_, _ = w.Write([]byte("<title>arrived</title><p id=arrived>arrived</p>"))
	}))
	t.Cleanup(arrived.Close)
	ours := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			connectpage.WriteForm(w, http.StatusOK, form)
			return
		}
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		select {
		case got <- r.PostForm:
		default:
		}
		connectpage.WriteResult(w, http.StatusOK, connectpage.Result{Title: "Connected", Text: "Yes.", Next: arrived.URL + "/done?a=1&b=2", Label: "Go on"})
	}))
	t.Cleanup(ours.Close)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox)
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	if err := chromedp.Do(ctx, chromedp.Navigate(ours.URL+"/connect/secret-token"), chromedp.WaitVisible("form")); err != nil {
		t.Fatal(err)
	}
	unnamed, err := chromedp.Run(ctx, chromedp.Evaluate[int](`[...document.querySelectorAll("input, textarea, select")].filter(e => e.labels.length !== 1).length`))
	if err != nil || unnamed != 0 {
		t.Errorf("%d inputs without a label: %v", unnamed, err)
	}
	styled, err := chromedp.Run(ctx, chromedp.Evaluate[string](`getComputedStyle(document.body).maxWidth`))
	if err != nil || styled != "512px" {
		t.Errorf("the policy refuses the page's own style: %q %v", styled, err)
	}
	err = chromedp.Do(ctx, chromedp.SendKeys("#f0", "key"), chromedp.SetValue("#f1", "acme"), chromedp.Click(`button[value="connect"]`), chromedp.WaitVisible("#arrived"))
	if err != nil {
		t.Fatal(err)
	}
	if v := <-got; v.Get("api_key") != "key" || v.Get("shop") != "acme" || v.Get("site") != "us" || v.Get("do") != "connect" {
		t.Errorf("%v", v)
	}
}
