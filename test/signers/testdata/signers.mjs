// Signs webhooks with the providers' packages and sends them to the gateway, as
// they are and changed, and asks packages that only verify about what the gateway's
// stand-in signed. Prints JSON: {sent: {case: status}, taken: {case: bool}}.
import Stripe from "stripe";
import { Webhooks } from "@octokit/webhooks";
import { Webhook as Svix } from "svix";
import { Webhook as StandardWebhooks } from "standardwebhooks";
import twilio from "twilio";
import bolt from "@slack/bolt";
import "@shopify/shopify-api/adapters/node";
import { shopifyApi, LogSeverity } from "@shopify/shopify-api";
import { verifyKey } from "discord-interactions";

const { base, publicURL, secrets, signed } = JSON.parse(process.env.SIGNERS);
const body = '{"id":"evt_node", "type":"something", "text":"Grüße & <b>"}';
const sent = {};
const taken = {};
const now = Math.floor(Date.now() / 1000);

async function send(service, name, headers, text, query = "") {
  const answer = await fetch(`${base}/api/webhooks/${service}${query}`, { method: "POST", headers, body: text });
  await answer.arrayBuffer();
  sent[`${service}, ${name}`] = answer.status;
}

// each sends a signed webhook, and the same with another body and unsigned.
async function each(service, signature, headers, text, query) {
  await send(service, "good", { ...headers, ...signature }, text, query);
  await send(service, "bad body", { ...headers, ...signature }, text + " ", query);
  await send(service, "bad unsigned", headers, text, query);
}

const stripe = new Stripe("sk_test_1");
const json = { "Content-Type": "application/json" };
const stripeHeader = (secret, timestamp) => stripe.webhooks.generateTestHeaderString({ payload: body, secret, timestamp });
await each("stripe", { "Stripe-Signature": stripeHeader(secrets.stripe, now) }, json, body);
await send("stripe", "bad old", { ...json, "Stripe-Signature": stripeHeader(secrets.stripe, now - 400) }, body);
await send("stripe", "bad secret", { ...json, "Stripe-Signature": stripeHeader("whsec_another", now) }, body);

const github = new Webhooks({ secret: secrets.github });
const hub = { ...json, "X-GitHub-Event": "push", "X-GitHub-Delivery": "node-1" };
await each("github", { "X-Hub-Signature-256": await github.sign(body) }, hub, body);
await send("github", "bad secret", { ...hub, "X-Hub-Signature-256": await new Webhooks({ secret: "another" }).sign(body) }, body);

const svixHeaders = (secret, at) => ({ "svix-id": "msg_node", "svix-timestamp": String(at), "svix-signature": new Svix(secret).sign("msg_node", new Date(at * 1000), body) });
await each("svix", svixHeaders(secrets.svix, now), json, body);
await send("svix", "bad old", { ...json, ...svixHeaders(secrets.svix, now - 400) }, body);

const standard = (secret, at) => ({ "webhook-id": "msg_node", "webhook-timestamp": String(at), "webhook-signature": new StandardWebhooks(secret).sign("msg_node", new Date(at * 1000), body) });
await each("standard-webhooks", standard(secrets["standard-webhooks"], now), json, body);
await send("standard-webhooks", "bad old", { ...json, ...standard(secrets["standard-webhooks"], now - 400) }, body);

const form = { MessageSid: "SMnode", MessageStatus: "delivered", AccountSid: "AC1", Body: "Grüße & mehr" };
const formHeaders = { "Content-Type": "application/x-www-form-urlencoded", "I-Twilio-Idempotency-Token": "node" };
const twilioURL = `${publicURL}/api/webhooks/twilio`;
const ofTwilio = twilio.getExpectedTwilioSignature(secrets.twilio, twilioURL, form);
await send("twilio", "good", { ...formHeaders, "X-Twilio-Signature": ofTwilio }, new URLSearchParams(form).toString());
await send("twilio", "bad body", { ...formHeaders, "X-Twilio-Signature": ofTwilio }, new URLSearchParams({ ...form, Body: "other" }).toString());
await send("twilio", "bad address", { ...formHeaders, "X-Twilio-Signature": ofTwilio }, new URLSearchParams(form).toString(), "?a=1");

// What the stand-in signed, and each of it spoilt.
const shopify = shopifyApi({
  apiKey: "key", apiSecretKey: secrets.shopify, hostName: "hooks.example.com", apiVersion: "2026-07", isEmbeddedApp: false, scopes: [], logger: { level: LogSeverity.Error, log: () => {} },
});
const attempt = async (f) => { try { return Boolean(await f()); } catch { return false; } };
const verifiers = {
  stripe: (w) => stripe.webhooks.constructEvent(w.body, w.headers["stripe-signature"], secrets.stripe),
  github: (w) => github.verify(w.body, w.headers["x-hub-signature-256"]),
  svix: (w) => new Svix(secrets.svix).verify(w.body, w.headers),
  "standard-webhooks": (w) => new StandardWebhooks(secrets["standard-webhooks"]).verify(w.body, w.headers),
  twilio: (w) => twilio.validateRequest(secrets.twilio, w.headers["x-twilio-signature"], w.url, Object.fromEntries(new URLSearchParams(w.body))),
  slack: (w) => {
    bolt.verifySlackRequest({
      signingSecret: secrets.slack, body: w.body,
      headers: { "x-slack-signature": w.headers["x-slack-signature"], "x-slack-request-timestamp": Number(w.headers["x-slack-request-timestamp"]) },
    });
    return true;
  },
  shopify: async (w) => {
    const request = new Request(w.url, { method: "POST", headers: w.headers, body: w.body });
    const answer = await shopify.webhooks.validate({ rawBody: w.body, rawRequest: { method: "POST", url: w.url, headers: Object.fromEntries(request.headers) }, rawResponse: {} });
    return answer.valid;
  },
  discord: (w) => verifyKey(w.body, w.headers["x-signature-ed25519"], w.headers["x-signature-timestamp"], secrets.discord),
};
for (const w of signed) {
  taken[w.name] = await attempt(() => verifiers[w.service](w));
}
console.log(JSON.stringify({ sent, taken }));
