package generate

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/sallyport/sallyport/plan"
)

// TypeScript writes the adapter in TypeScript, for runtimes with fetch and
// node:crypto (Node 20 and later, Bun, Deno). It type-checks under tsc --strict.
func TypeScript(p *plan.Plan, o Options) ([]File, error) {
	a, err := prepare(p, o)
	if err != nil {
		return nil, err
	}
	g := &typescript{adapter: a, types: map[string]string{}, enumTypes: map[string]string{}, taken: unique{"Client": true, "Config": true, "SallyportError": true, "CallOptions": true, "SallyportEvent": true, "Handlers": true}}
	g.name()
	c := &code{}
	if len(a.tables) > 0 {
		g.typesFile(c)
	}
	if len(a.endpoints) > 0 {
		g.client(c)
	}
	if len(a.events) > 0 {
		g.webhooks(c)
	}
	start := fmt.Sprintf("// How this product talks to %s. %s.gen.ts is made from the plan; this file is\n"+
		"// yours: convert between the generated types and your own here, so that nothing\n// else knows the provider's fields.\nexport * from \"./%s.gen.js\";\n",
		strings.Map(printable, a.title), a.name, a.name)
	return []File{
		{Name: a.name + ".gen.ts", Content: sealed(filepath.Base(p.File), c.String())},
		{Name: "mapper.ts", Content: []byte(start), Yours: true},
	}, nil
}

// typescript writes TypeScript.
type typescript struct {
	*adapter
	types     map[string]string
	enumTypes map[string]string
	taken     unique
}

func (g *typescript) name() {
	for _, t := range g.tables {
		name := pascal(t.name)
		if !t.in {
			name += "Input"
		}
		g.types[typeKey(t.name, t.in)] = g.taken.name(name)
	}
	for _, e := range g.enums {
		g.enumTypes[e.key()] = g.taken.name(pascal(e.table) + pascal(e.field))
	}
}

func (g *typescript) typeOf(f *field, in bool) string {
	t := "string"
	switch {
	case f.table != "":
		t = g.types[typeKey(f.table, in)]
	case f.enum != "":
		t = g.enumTypes[f.enum]
	case f.as == "integer":
		t = "number"
	case f.as == "boolean":
		t = "boolean"
	case f.as == "json":
		t = "unknown"
	}
	if f.list {
		return t + "[]"
	}
	return t
}

func (g *typescript) typesFile(c *code) {
	for _, t := range g.tables {
		name, what := g.types[typeKey(t.name, t.in)], "as the plan maps it; what the provider leaves out is missing"
		if !t.in {
			what = "as it is sent; what is undefined is not sent"
		}
		c.line("\n/** %s %s. Decimals and times are text: \"19.90\", RFC 3339. */", inComment(t.name), what)
		c.line("export interface %s {", name)
		g.fields(c, t.fields, t.in, "  ")
		c.line("}")
	}
	for _, e := range g.enums {
		values := make([]string, len(e.values))
		for i, v := range e.values {
			values[i] = literal(v)
		}
		if e.open {
			values = append(values, "(string & {})") // other values come through, and the named ones are still completed
		}
		c.line("\n/** Field %s of %s. */\nexport type %s = %s;", inComment(e.field), inComment(e.table), g.enumTypes[e.key()], strings.Join(values, " | "))
	}
}

func (g *typescript) fields(c *code, fields []*field, in bool, indent string) {
	for _, f := range fields {
		if f.as == "" {
			c.line("%s%s?: {", indent, literal(f.name))
			g.fields(c, f.fields, in, indent+"  ")
			c.line("%s};", indent)
			continue
		}
		note := f.external
		if f.personal != "" {
			note += " (" + f.personal + ")"
		}
		c.line("%s/** %s */", indent, inComment(note))
		c.line("%s%s?: %s | null;", indent, literal(f.name), g.typeOf(f, in))
	}
}

// literal is text as a TypeScript string, which JSON's are.
func literal(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}

// inComment keeps text from ending a comment.
func inComment(s string) string {
	return strings.ReplaceAll(strings.Map(printable, strings.ReplaceAll(s, "\n", " ")), "*/", "* /")
}

var tsTaken = strings.Fields("break case catch class const continue debugger default delete do else enum export extends false finally for function if import in instanceof new null return super switch " +
	"this throw true try typeof var void while with as implements interface let package private protected public static yield any boolean constructor declare get module require number set string symbol type from of " +
	"input options body await async")

func (g *typescript) client(c *code) {
	var methods code
	names := unique{"for": true, "call": true, "constructor": true}
	for _, e := range g.endpoints {
		var parameters, path []string
		taken := tsTaken
		for _, v := range e.variables {
			local := camel(v, taken)
			taken = append(taken, local)
			parameters = append(parameters, local+": string")
			path = append(path, literal(v)+": "+local)
		}
		request := "{"
		if len(path) > 0 {
			request += " path: { " + strings.Join(path, ", ") + " },"
		}
		if e.body {
			kind := "unknown"
			if e.plan.Send != "" {
				kind = g.types[typeKey(e.plan.Send, false)]
			}
			parameters = append(parameters, "input: "+kind)
			request += " body: input,"
		}
		result := "unknown"
		if e.plan.Receive != "" {
			result = g.types[typeKey(e.plan.Receive, true)]
		}
		parameters = append(parameters, "options: CallOptions = {}")
		methods.line("\n  /** %s: %s %s */", inComment(e.plan.Call), inComment(e.plan.Purpose), inComment(tsEffect(e.plan)))
		methods.line("  %s(%s): Promise<%s> {", names.name(camel(e.key, nil)), strings.Join(parameters, ", "), result)
		methods.line("    return this.call(%s, %s }, options) as Promise<%s>;\n  }", literal(e.key), request, result)
	}
	c.WriteString(strings.NewReplacer("SERVICE", g.plan.Service, "TITLE", inComment(g.title), "METHODS", strings.TrimRight(methods.String(), "\n")).Replace(tsClient))
}

func tsEffect(e *plan.Endpoint) string {
	return strings.NewReplacer("WithIdempotencyKey names", "options.idempotencyKey is", "an error that is Unknown", "an error that is unknown").Replace(effectWords(e))
}

const tsClient = `
/** Where the gateway is. */
export interface Config {
  /** URL of the gateway: https://sallyport.internal */
  url: string;
  /** API key with the scope app */
  key: string;
  /** your customer, on whose behalf */
  tenant?: string;
  /** how long a call may take, in milliseconds; 150 seconds when left out, as the gateway takes up to 120 */
  timeout?: number;
}

/** What changes one call. */
export interface CallOptions {
  /** query parameters, named as the provider names them */
  query?: Record<string, string[]>;
  /** makes repeats of the call, by you, one at the provider */
  idempotencyKey?: string;
  signal?: AbortSignal;
}

/** An answer that is no success, of the provider or of the gateway. */
export class SallyportError extends Error {
  constructor(
    /** HTTP status of the gateway's answer */
    readonly status: number,
    /** stable: provider_invalid, limit, unknown_outcome, queued, … */
    readonly code: string,
    message: string,
    readonly hint: string,
    /** id of the call at the gateway; empty when there was none */
    readonly call: string,
    /** why the gateway ended it: limit, breaker, timeout, queued; empty when the provider did */
    readonly reason: string,
    /** when to come again, in seconds; 0 when nobody said */
    readonly retryAfter: number,
  ) {
    super(message);
    this.name = "SallyportError";
  }

  /** The gateway will make the call by itself, later. Do not repeat it. */
  get queued(): boolean {
    return this.reason === "queued";
  }

  /** The call may have had its effect. Look before you repeat it. */
  get unknown(): boolean {
    return this.code === "unknown_outcome";
  }
}

/** Calls TITLE through the gateway, which holds the credential, keeps the limits, retries and maps. */
export class Client {
  readonly #config: Config;

  constructor(config: Config) {
    if (!config.url || !config.key) throw new TypeError("the gateway's URL and a key are needed");
    this.#config = config;
  }

  /** The same client on behalf of one of your customers. */
  for(tenant: string): Client {
    return new Client({ ...this.#config, tenant });
  }
METHODS

  private async call(endpoint: string, request: { path?: Record<string, string>; body?: unknown }, options: CallOptions): Promise<unknown> {
    const headers: Record<string, string> = { authorization: "Bearer " + this.#config.key, "content-type": "application/json" };
    if (options.idempotencyKey) headers["idempotency-key"] = options.idempotencyKey;
    const limit = AbortSignal.timeout(this.#config.timeout ?? 150_000);
    const response = await fetch(this.#config.url.replace(/\/+$/, "") + "/api/v1/integrations/SERVICE/endpoints/" + endpoint, {
      method: "POST",
      headers,
      body: JSON.stringify({ ...request, tenant: this.#config.tenant, query: options.query }),
      signal: options.signal ? AbortSignal.any([options.signal, limit]) : limit,
    });
    const text = await response.text();
    const reason = response.headers.get("sallyport-reason") ?? "";
    if (!response.ok || reason === "queued") {
      let problem: { code?: string; detail?: string; hint?: string } = {};
      try {
        problem = JSON.parse(text);
      } catch {
        // an answer of something in between; its status has to do
      }
      throw new SallyportError(
        response.status, problem.code ?? "http_" + response.status, problem.detail ?? response.statusText, problem.hint ?? "",
        response.headers.get("sallyport-call") ?? "", reason, Number(response.headers.get("retry-after") ?? 0) || 0,
      );
    }
    return text === "" ? undefined : JSON.parse(text);
  }
}
`

func (g *typescript) webhooks(c *code) {
	var fields code
	for _, e := range g.events {
		data := "unknown"
		if e.table != "" {
			data = g.types[typeKey(e.table, true)]
		}
		fields.line("  %s?: (event: SallyportEvent<%s>) => Promise<void> | void;", literal(g.plan.Service+"."+e.kind), data)
	}
	code := strings.NewReplacer("TITLE", inComment(g.title), "FIELDS", strings.TrimRight(fields.String(), "\n")).Replace(tsWebhooks)
	before := c.String()
	c.Reset()
	c.WriteString("import { createHmac, timingSafeEqual } from \"node:crypto\";\n" + before + code)
}

const tsWebhooks = `
/** One event of TITLE as the gateway delivers it (CloudEvents 1.0). It may come more than once; the id stays the same. */
export interface SallyportEvent<T> {
  id: string;
  type: string;
  subject?: string;
  tenant?: string;
  time?: string;
  data: T;
}

/** Called for the events the plan uses. What is thrown has the event delivered again later. */
export interface Handlers {
FIELDS
  /** takes what has no handler above; without it that is refused, so that nothing is lost silently */
  other?: (event: SallyportEvent<unknown>) => Promise<void> | void;
}

const tolerance = 5 * 60; // seconds

/**
 * Answers one delivery with an HTTP status: 204, or why not. The signature (Standard Webhooks) is checked
 * before anything is read; body must be the raw bytes. Two secrets are valid while one is replaced.
 */
export async function receive(headers: Record<string, string | undefined>, body: Buffer | string, handlers: Handlers, ...secrets: string[]): Promise<number> {
  const raw = typeof body === "string" ? Buffer.from(body) : body;
  if (!signed(headers, raw, secrets.filter((s) => s !== ""), Date.now() / 1000)) return 401;
  let event: SallyportEvent<unknown>;
  try {
    event = JSON.parse(raw.toString("utf8"));
  } catch {
    return 400;
  }
  const own = Object.hasOwn(handlers, event.type) ? handlers[event.type as keyof Handlers] : undefined;
  const handle = (own ?? handlers.other) as ((event: SallyportEvent<unknown>) => Promise<void> | void) | undefined;
  if (!handle) return 501;
  try {
    await handle(event);
  } catch {
    return 500;
  }
  return 204;
}

function signed(headers: Record<string, string | undefined>, body: Buffer, secrets: string[], now: number): boolean {
  const id = headers["webhook-id"];
  const at = headers["webhook-timestamp"];
  if (!id || !at || !/^[0-9]+$/.test(at) || Math.abs(now - Number(at)) > tolerance) return false;
  let valid = false;
  for (const secret of secrets) {
    const key = secret.startsWith("whsec_") ? Buffer.from(secret.slice(6), "base64") : Buffer.from(secret);
    if (key.length === 0) continue;
    const want = Buffer.from("v1," + createHmac("sha256", key).update(id + "." + at + ".").update(body).digest("base64"));
    for (const given of (headers["webhook-signature"] ?? "").split(" ")) {
      const other = Buffer.from(given);
      if (other.length === want.length && timingSafeEqual(other, want)) valid = true;
    }
  }
  return valid;
}
`
