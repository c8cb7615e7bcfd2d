package code_test

import (
	"slices"
	"testing"

	"github.com/sallyport/sallyport/review"
	"github.com/sallyport/sallyport/review/code"
)

// R7.2: other languages, by patterns.
func TestPatterns(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		file, text string
		want       []string
	}{
		"express":                        {"server.ts", "import Stripe from 'stripe';\nconst stripe = new Stripe(key);\napp.get('/pay', async (req, res) => {\n  const c = await stripe.charges.create({});\n  res.json(c);\n});\n", []string{"R7.2.2 server.ts:4"}},
		"express, in a comment":          {"server.ts", "import Stripe from 'stripe';\nconst stripe = new Stripe(key);\napp.get('/pay', async (req, res) => {\n  // await stripe.charges.create({});\n  res.json({});\n});\n", nil},
		"next, host":                     {"app/api/pay/route.ts", "export async function POST(req) {\n  return fetch('https://api.stripe.com/v1/charges');\n}\n", []string{"R7.2.2 app/api/pay/route.ts:2"}},
		"job, no handler":                {"job.ts", "import Stripe from 'stripe';\nconst stripe = new Stripe(key);\nexport async function job() { await stripe.charges.create({}); }\n", nil},
		"catch":                          {"job.js", "const stripe = require('stripe')(key);\nstripe.charges.create({}).catch(() => {});\n", []string{"R7.2.3 job.js:2"}},
		"flask":                          {"app.py", "import stripe\n\n@app.route('/pay', methods=['POST'])\ndef pay():\n    return stripe.Charge.create(amount=1)\n\ndef other():\n    stripe.Charge.create(amount=1)\n", []string{"R7.2.2 app.py:5"}},
		"django":                         {"views.py", "from stripe import StripeClient\nclient = StripeClient(key)\n\ndef pay(request):\n    client.charges.create()\n", []string{"R7.2.2 views.py:5"}},
		"except":                         {"job.py", "import stripe\ntry:\n    stripe.Charge.create()\nexcept Exception:\n    pass\n", []string{"R7.2.3 job.py:4"}},
		"python webhook":                 {"hooks.py", "@app.post('/webhooks/slack')\ndef slack_events():\n    store(request.json)\n", []string{"R7.2.5 hooks.py:1"}},
		"sinatra":                        {"app.rb", "require 'stripe'\npost '/pay' do\n  Stripe::Charge.create(amount: 1)\nend\n", []string{"R7.2.2 app.rb:3"}},
		"laravel":                        {"routes.php", "<?php\nuse Stripe\\StripeClient;\nRoute::post('/pay', function () {\n  $stripe = new StripeClient($key);\n  $stripe->charges->create([]);\n});\n", []string{"R7.2.2 routes.php:5"}},
		"spring":                         {"Pay.java", "class Pay {\n  @PostMapping(\"/pay\")\n  String pay() {\n    return http.get(\"https://api.stripe.com/v1/charges\");\n  }\n  String job() { return http.get(\"https://api.stripe.com\"); }\n}\n", []string{"R7.2.2 Pay.java:4"}},
		"asp.net":                        {"Pay.cs", "app.MapPost(\"/webhooks/stripe\", (HttpRequest r) => {\n  store(r);\n});\n", []string{"R7.2.5 Pay.cs:1"}},
		"asp.net, SDK":                   {"Pay.cs", "using Stripe;\nvar client = new StripeClient(key);\napp.MapPost(\"/pay\", async () => {\n  await client.V1.Charges.CreateAsync(o);\n});\n", []string{"R7.2.2 Pay.cs:4"}},
		"spring, SDK":                    {"Pay.java", "import com.stripe.model.Charge;\nclass Pay {\n  @PostMapping(\"/pay\")\n  String pay() {\n    return Charge.create(p).getId();\n  }\n}\n", []string{"R7.2.2 Pay.java:5"}},
		"verified elsewhere in the file": {"hooks.js", "function verifySignature(req) {}\napp.post('/webhooks/stripe', (req, res) => { store(req.body); });\n", nil},
		"a test":                         {"pay.test.ts", "app.post('/webhooks/stripe', (req, res) => { fetch('https://api.stripe.com'); });\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t, map[string]string{test.file: test.text})
			if got := failures(dir, scanned(t, code.Options{Dir: dir})); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

// R7.2.5: your own API about webhooks is no receiver of a provider's.
func TestOwnWebhookAPIIsAWarning(t *testing.T) {
	t.Parallel()
	dir := tree(t, map[string]string{"api.js": "app.post('/api/webhooks', (req, res) => { subscribe(req.body.url); });\napp.get('/webhooks/stripe', list);\n"})
	r := scanned(t, code.Options{Dir: dir})
	if (&review.Result{Findings: r.Findings}).Failed() || len(failures(dir, r)) != 1 {
		t.Errorf("%v", failures(dir, r))
	}
}
