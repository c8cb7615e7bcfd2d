// Drives the gateway with the providers' own SDKs for Node and prints what they
// saw as one JSON document. Run by node_test.go.
import http from "node:http";
import Stripe from "stripe";
import { Octokit } from "@octokit/rest";

const { stripePort, stripeKey, githubURL, githubKey } = JSON.parse(process.env.PEER);
const lookup = (_, options, done) =>
  options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4);
const out = { stripe: {}, github: {} };
const marks = (h) => ({ call: h["sallyport-call"] ?? "", attempts: h["sallyport-attempts"] ?? "" });
const command = process.argv[2];

const stripe = new Stripe(stripeKey, {
  protocol: "http", host: "stripe.localhost", port: stripePort, httpAgent: new http.Agent({ lookup }),
  maxNetworkRetries: 0, telemetry: false,
});
const octokit = new Octokit({ auth: githubKey, baseUrl: githubURL, log: { debug() {}, info() {}, warn() {}, error() {} } });

if (command === "fair") {
  const customer = await stripe.customers.create({ email: "jo@example.com" });
  out.stripe.created = { id: customer.id, ...marks(customer.lastResponse.headers) };
  out.stripe.read = (await stripe.customers.retrieve(customer.id)).object;
  out.stripe.listed = (await stripe.customers.list({ limit: 3 })).data.length;
  try {
    await stripe.refunds.create({ amount: "not a number" });
  } catch (error) {
    out.stripe.error = { type: error.type, status: error.statusCode, ...marks(error.headers ?? {}) };
  }
  const at = { owner: "acme", repo: "shop" };
  const first = await octokit.rest.issues.createMilestone({ ...at, title: "v1" });
  await octokit.rest.issues.createMilestone({ ...at, title: "v2" });
  out.github.created = { title: first.data.title, ...marks(first.headers) };
  out.github.read = (await octokit.rest.issues.getMilestone({ ...at, milestone_number: first.data.number })).data.title;
  const pages = [];
  for await (const page of octokit.paginate.iterator(octokit.rest.issues.listMilestones, { ...at, per_page: 1 })) {
    pages.push({ titles: page.data.map((m) => m.title), ...marks(page.headers) });
    if (pages.length === 5) break;
  }
  out.github.pages = pages;
  try {
    await octokit.rest.issues.getMilestone({ ...at, milestone_number: 999999 });
  } catch (error) {
    out.github.error = { status: error.status, ...marks(error.response?.headers ?? {}) };
  }
} else if (command === "stripe-create") {
  try {
    await stripe.customers.create({ email: "jo@example.com" });
  } catch (error) {
    out.stripe.error = { type: error.type, status: error.statusCode, ...marks(error.headers ?? {}) };
  }
} else if (command === "github-read") {
  const list = await octokit.rest.issues.listMilestones({ owner: "acme", repo: "shop" });
  out.github.read = marks(list.headers).attempts;
}
console.log(JSON.stringify(out));
