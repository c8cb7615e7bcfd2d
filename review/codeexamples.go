package review

// codeExamples holds one for each rule about code, by its id.
var codeExamples = map[string]Example{
	"R0.6": {
		Language: "go",
		Good:     "package billing\n\nimport \"example.com/shop/adapters/stripe\"\n\nvar Charge = stripe.Charge\n",
		Bad:      "package billing\n\nconst customers = \"https://api.stripe.com/v1/customers\"\n",
	},
	"R2.1": {
		Language: "sh",
		Good:     "# .env.example\nSTRIPE_API_KEY=\n",
		Bad:      "# .env, tracked by git\nSTRIPE_API_KEY=a-key-that-works\n",
	},
	"R7.2.1": {
		Language: "python",
		Good:     "key = os.environ[\"STRIPE_API_KEY\"]\n",
		Bad:      "key = \"sk_live_…\"\n",
	},
	"R7.2.2": {
		Language: "go",
		Good: `package shop

import "net/http"

func checkout(w http.ResponseWriter, r *http.Request) {
	if err := jobs.Add(r.Context(), "charge", r.FormValue("order")); err != nil {
		http.Error(w, "try again", http.StatusServiceUnavailable)
	}
}
`,
		Bad: `package shop

import "net/http"

func checkout(w http.ResponseWriter, r *http.Request) {
	resp, err := http.Post("https://api.stripe.com/v1/charges", "application/x-www-form-urlencoded", r.Body)
	if err != nil {
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	resp.Body.Close()
}
`,
	},
	"R7.2.3": {
		Language: "typescript",
		Good: `import Stripe from "stripe";
const stripe = new Stripe(process.env.STRIPE_API_KEY);
export async function charge(order) {
  try { await stripe.charges.create({ amount: order.amount }); } catch (e) { await retryLater(order, e); }
}
`,
		Bad: `import Stripe from "stripe";
const stripe = new Stripe(process.env.STRIPE_API_KEY);
export async function charge(order) {
  try { await stripe.charges.create({ amount: order.amount }); } catch (e) {}
}
`,
	},
	"R7.2.4": {
		Language: "python",
		Good: `import stripe

@app.post("/webhooks/stripe")
def stripe_webhook(request):
    event = stripe.Webhook.construct_event(request.body, request.headers["Stripe-Signature"], secret)
    inbox.store(event)
    return "", 200
`,
		Bad: `import stripe

@app.post("/webhooks/stripe")
def stripe_webhook(request):
    event = stripe.Webhook.construct_event(request.body, request.headers["Stripe-Signature"], secret)
    customer = stripe.Customer.retrieve(event.data.object.customer)
    fulfil(customer)
    return "", 200
`,
	},
	"R7.2.5": {
		Language: "typescript",
		Good: `app.post("/webhooks/stripe", raw(), (req, res) => {
  const event = stripe.webhooks.constructEvent(req.body, req.headers["stripe-signature"], secret);
  inbox.store(event);
  res.sendStatus(200);
});
`,
		Bad: `app.post("/webhooks/stripe", json(), (req, res) => {
  inbox.store(req.body);
  res.sendStatus(200);
});
`,
	},
	"I1": {
		Language: "python",
		Good:     "# sallyport" + ":ignore R7.2.1 until=2027-01-01 reason=a key of the public demo account\n",
		Bad:      "# sallyport" + ":ignore R7.2.1\n",
	},
	"I2": {
		Language: "python",
		Good:     "key = demo_key()  # nothing to ignore here\n",
		Bad:      "# sallyport" + ":ignore R7.2.1 until=2027-01-01 reason=the key that stood here is gone\nkey = demo_key()\n",
	},
}
