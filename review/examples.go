package review

import "cmp"

// Example is a part of a plan that keeps a rule, and one that breaks it. Both
// are tested against the rule: put into a plan that keeps them all, the bad one
// makes this rule fail and the good one lets it pass.
type Example struct {
	Good, Bad string
	// Language of both, as a file's extension; empty is a part of a plan.
	Language string
}

func (e Example) language() string { return cmp.Or(e.Language, "yaml") }

// examples holds one for each rule, by its id. What no plan can pass in this
// version has no Good.
var examples = map[string]Example{
	"R7.1.1": {
		Good: "profile:\n  version: 2026-08-26.dahlia\n  spec: {file: specs/stripe.json.gz, sha256: f0e0fc8fffbf…}\n",
		Bad:  "profile:\n  spec: {file: specs/stripe.json.gz}\n",
	},
	"R7.1.2": {
		Good: "environments:\n  production:\n    secrets: {api_key: env:STRIPE_API_KEY, webhook_secret: env:STRIPE_WEBHOOK_SECRET}\n",
		Bad:  "environments:\n  production:\n    secrets: {webhook_secret: env:STRIPE_WEBHOOK_SECRET}\n",
	},
	"R7.1.3": {
		Bad: "endpoints: {}\nwebhooks:\n",
	},
	"R7.1.4": {
		Good: "endpoints:\n  get_customer: {call: \"GET /v1/customers/{id}\", purpose: Show the payer., effect: read, receive: customer}\n",
		Bad:  "endpoints:\n  get_customer: {call: \"GET /v1/customers/{id}\", purpose: Show the payer., effect: read}\n",
	},
	"R7.1.5": {
		Good: "errors:\n  402: {retry: never, message: The card was declined.}\n",
		Bad:  "errors:\n  429: {retry: never}\n",
	},
	"R7.1.6": {
		Good: "limits: {headroom: 80%}\n",
		Bad:  "limits: {headroom: 100%}\n",
	},
	"R7.1.7": {
		Good: "errors:\n  5xx: {retry: 3, backoff: [1s, 2s, 4s]}\n",
		Bad:  "errors:\n  5xx: {retry: 3, backoff: [1s]}\n",
	},
	"R7.1.8": {
		Good: "environments:\n  production:\n    secrets: {api_key: env:STRIPE_API_KEY, webhook_secret: env:STRIPE_WEBHOOK_SECRET}\n",
		Bad:  "environments:\n  production:\n    secrets: {api_key: env:STRIPE_API_KEY}\n",
	},
	"R7.1.9": {
		Good: "webhooks:\n  events:\n    invoice.paid: {map: customer, to: app}\n  retention: {payload: 30d, ids: 90d}\n",
		Bad:  "webhooks:\n  events:\n    invoice.paid: {map: customer, to: app}\n  retention: {payload: 1d, ids: 1d}\n",
	},
	"R7.1.10": {
		Good: "destinations:\n  app: {url: \"http://127.0.0.1:3000/\", secret: env:APP_SECRET, timeout: 10s}\n",
		Bad:  "destinations:\n  app: {url: \"http://127.0.0.1:3000/\", secret: env:APP_SECRET, timeout: 5m}\n",
	},
	"R7.1.11": {
		Good: "webhooks:\n  events:\n    invoice.paid: {map: customer, to: app}\n  retention: {payload: 30d, ids: 90d}\n",
		Bad:  "webhooks:\n  events:\n    invoice.paid: {map: customer, to: app}\n",
	},
	"R7.1.12": {
		Bad: "mappings:\n  customer:\n    - {external: id, type: string, internal: id, as: string}\n  invoice:\n    - {external: id, type: string, internal: id, as: string}\n",
	},
	"R7.1.13": {
		Good: "monitoring: {notify: [ops], owner: payments, runbook: docs/runbooks/stripe.md}\n",
		Bad:  "monitoring: {notify: [ops]}\n",
	},
	"R7.1.14": {
		Good: "environments:\n  development:\n    base_url: http://127.0.0.1:4010\n    secrets: {api_key: env:STRIPE_API_KEY, webhook_secret: env:STRIPE_WEBHOOK_SECRET}\n",
		Bad:  "environments:\n  production:\n    secrets: {api_key: env:STRIPE_API_KEY, webhook_secret: env:STRIPE_WEBHOOK_SECRET}\n",
	},
	"R0.1": {
		Good: "profile:\n  confirmed:\n    idempotency: {on: 2026-11-23, by: payments}\n    webhooks: {on: 2026-11-23, by: payments}\n",
		Bad:  "profile:\n  confirmed:\n    idempotency: {on: 2026-11-23, by: payments}\n",
	},
	"R0.2": {
		Good: "decision: {choice: build, why: Two calls and four events.}\n",
		Bad:  "decision:\n",
	},
	"R0.3": {
		Good: "endpoints:\n  list_events: {call: GET /v1/events, purpose: Find lost events., effect: read}\n",
		Bad:  "endpoints:\n  list_events: {call: GET /v1/eventz, purpose: Find lost events., effect: read}\n",
	},
	"R0.4": {
		Good: "endpoints:\n  get_customer: {call: \"GET /v1/customers/{id}\", purpose: Show the payer., effect: read, receive: customer, fallback: fail}\n",
		Bad:  "endpoints:\n  get_customer: {call: \"GET /v1/customers/{id}\", purpose: Show the payer., effect: read, receive: customer}\n",
	},
	"R2.9": {
		Good: "auth: {use: api_key, rotate_every: 90d}\n",
		Bad:  "auth: {use: api_key, rotate_every: 365d}\n",
	},
	"R2.11": {
		Good: "environments:\n  development: {secrets: {api_key: env:STRIPE_API_KEY}}\n  production: {secrets: {api_key: env:STRIPE_PRODUCTION_API_KEY}}\n",
		Bad:  "environments:\n  development: {secrets: {api_key: env:STRIPE_API_KEY}}\n  production: {secrets: {api_key: env:STRIPE_API_KEY}}\n",
	},
	"R4.2": {
		Good: "errors:\n  401: {retry: 1}\n",
		Bad:  "errors:\n  401: {retry: 5}\n",
	},
	"R4.7": {
		Good: "endpoints:\n  create_customer:\n    call: POST /v1/customers\n    purpose: Register the payer.\n    effect: create\n    idempotency: {header: Idempotency-Key, keep: 24h}\n",
		Bad:  "endpoints:\n  create_customer:\n    call: POST /v1/customers\n    purpose: Register the payer.\n    effect: create\n",
	},
	"R5.7": {
		Good: "webhooks:\n  events:\n    invoice.paid: {from: data.object, map: customer, to: app}\n  redact: [data.object.email]\n",
		Bad:  "webhooks:\n  events:\n    invoice.paid: {from: data.object, map: customer, to: app}\n",
	},
	"E5": {
		Good: "mappings:\n  customer:\n    - {external: tax_exempt, internal: taxExempt, as: enum, values: {none: NONE, exempt: EXEMPT}, unknown: fail}\n",
		Bad:  "mappings:\n  customer:\n    - {external: tax_exempt, internal: taxExempt, as: enum, values: {none: NONE, exempt: EXEMPT}}\n",
	},
	"E9": {
		Good: "endpoints:\n  delete_customer: {call: \"DELETE /v1/customers/{id}\", purpose: Forget the payer., effect: irreversible}\n",
		Bad:  "endpoints:\n  delete_customer: {call: \"DELETE /v1/customers/{id}\", purpose: Forget the payer., effect: read}\n",
	},
	"E10": {
		Good: "endpoints:\n  create_customer:\n    call: POST /v1/customers\n    purpose: Register the payer.\n    effect: create\n    idempotency: {header: Idempotency-Key, keep: 24h}\n",
		Bad:  "endpoints:\n  create_customer:\n    call: POST /v1/customers\n    purpose: Register the payer.\n    effect: create\n    idempotency: {header: Idempotency-Key, keep: 30d}\n",
	},
	"E25": {
		Good: "mappings:\n  customer:\n    - {external: balance, type: integer, internal: balance, as: decimal, transform: money(currency)}\n",
		Bad:  "mappings:\n  customer:\n    - {external: balance, type: integer, internal: balance, as: integer}\n",
	},
	"E43": {
		Good: "webhooks:\n  order_by: json:data.object.id\n  events:\n    invoice.paid: {map: customer, to: app}\n",
		Bad:  "webhooks:\n  events:\n    invoice.paid: {map: customer, to: app}\n",
	},
	"E44": {
		Good: "webhooks:\n  events:\n    invoice.paid: {map: customer, to: app}\n  reconcile: {list: list_events, every: 10m, overlap: 30m}\n",
		Bad:  "webhooks:\n  events:\n    invoice.paid: {map: customer, to: app}\n",
	},
	"E54": {
		Good: "mappings:\n  customer:\n    - {external: email, type: string, internal: email, as: string, class: pii}\n",
		Bad:  "mappings:\n  customer:\n    - {external: email, type: string, internal: email, as: string}\n",
	},
	"E77": {
		Good: "decision: {choice: build, why: Two calls., owner: payments, review_by: 2027-05-23}\n",
		Bad:  "decision: {choice: build, why: Two calls., owner: payments, review_by: 2025-01-01}\n",
	},
	"S1": {
		Good: "auth: {use: api_key}\nwebhooks:\nmonitoring:\n",
		Bad:  "auth: {use: api_key, rotate_every: 90d}\n",
	},
	"R8.1": {
		Good: "open_questions: []\n",
		Bad:  "open_questions:\n  - {about: api, ask: Which version?, look: https://docs.stripe.com/api}\n",
	},
}
