import { createHmac } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Webhook } from "@tributary/domain"
import { challengeOf, deliveryId, signatureCheck } from "@tributary/connector"
import { Schema } from "effect"

const webhook = (settings: Record<string, unknown>) =>
  Schema.decodeUnknownSync(Webhook)({ secret: "${env:X}", ...settings })
const secret = "shhh, it is a secret"
const body = Buffer.from('{"id":"evt_1","event_id":"Ev1"}')
const at = 1_767_225_600
const now = at * 1000
const hmac = (text: string, key: string | Buffer = secret, encoding: "hex" | "base64" = "hex", algorithm = "sha256") =>
  createHmac(algorithm, key).update(text).update(body).digest(encoding)

/** Scheme, its settings, the headers that are right, the delivery's id. */
const schemes = [
  [{ signature: "stripe" }, { "stripe-signature": `t=${at},v0=aa,v1=${hmac(`${at}.`)}` }, "id:evt_1"],
  [
    { signature: "github" },
    { "x-hub-signature-256": `sha256=${hmac("")}`, "x-github-delivery": "72d3162e" },
    "id:72d3162e"
  ],
  [
    { signature: "slack" },
    { "x-slack-signature": `v0=${hmac(`v0:${at}:`)}`, "x-slack-request-timestamp": String(at) },
    "id:Ev1"
  ],
  [
    { signature: "shopify" },
    { "x-shopify-hmac-sha256": hmac("", secret, "base64"), "x-shopify-webhook-id": "w1" },
    "id:w1"
  ],
  [
    { signature: "standard" },
    {
      "webhook-id": "msg_1",
      "webhook-timestamp": String(at),
      "webhook-signature": `v1a,AAAA v1,${hmac(`msg_1.${at}.`, secret, "base64")}`
    },
    "id:msg_1"
  ],
  [
    {
      signature: "hmac",
      header: "X-Sig",
      algorithm: "sha512",
      encoding: "base64",
      prefix: "v9=",
      signed: "{timestamp}/{id}/{body}",
      timestamp_header: "X-At",
      id_header: "X-Id"
    },
    { "x-sig": `v9=${hmac(`${now}/d7/`, secret, "base64", "sha512")}`, "x-at": String(now), "x-id": "d7" },
    "id:d7"
  ],
  [{ signature: "token", header: "x-gitlab-token", id: "$.id" }, { "x-gitlab-token": secret }, "id:evt_1"]
] as const

/** The header that is the signature itself. */
const signatureIn = (headers: Readonly<Record<string, string>>): string =>
  Object.keys(headers).find((name) => /sig|hmac|token/u.test(name)) ?? ""

describe("signatures", () => {
  it.each(schemes)("%o", (settings, headers, id) => {
    const hook = webhook(settings)
    const check = signatureCheck(hook)
    const name = signatureIn(headers)
    const value = new Map(Object.entries(headers)).get(name) ?? ""
    const isTimed = !["github", "shopify", "token"].includes(settings.signature)
    assert.isUndefined(check({ headers, body }, [secret], now))
    assert.strictEqual(deliveryId(hook)({ headers, body }), id)
    // While a secret is changed both are good.
    assert.isUndefined(check({ headers, body }, ["another", secret], now))
    assert.strictEqual(check({ headers, body }, ["another"], now), "bad_signature")
    assert.strictEqual(check({ headers, body }, [], now), "bad_signature")
    // The body, the time and the id are signed.
    if (settings.signature !== "token") {
      assert.strictEqual(
        check({ headers, body: Buffer.concat([body, Buffer.from(" ")]) }, [secret], now),
        "bad_signature"
      )
    }
    for (const other of Object.keys(headers).filter(
      (key) => key !== name && key !== "x-github-delivery" && key !== "x-shopify-webhook-id"
    )) {
      assert.notEqual(check({ headers: { ...headers, [other]: "1767225601" }, body }, [secret], now), undefined, other)
    }
    assert.strictEqual(check({ headers: { ...headers, [name]: undefined }, body }, [secret], now), "missing_signature")
    // Cut, lengthened, empty, of other letters.
    for (const bad of [
      value.slice(0, -4),
      `${value}00`,
      value.replace(/[0-9a-f](?=[^0-9a-f]*$)/iu, "g"),
      "",
      "sha256=",
      "t=1,v1=",
      "v1,",
      "\u0000"
    ]) {
      if (bad === value) continue
      assert.notEqual(check({ headers: { ...headers, [name]: bad }, body }, [secret], now), undefined, bad)
    }
    const minutes = 60_000
    assert.strictEqual(check({ headers, body }, [secret], now + 4.9 * minutes), undefined)
    assert.strictEqual(check({ headers, body }, [secret], now + 5.1 * minutes), isTimed ? "stale" : undefined)
    assert.strictEqual(check({ headers, body }, [secret], now - 5.1 * minutes), isTimed ? "stale" : undefined)
  })

  it("a secret of Standard Webhooks is base64", () => {
    const key = Buffer.from("0123456789abcdef")
    const headers = {
      "svix-id": "m",
      "svix-timestamp": String(at),
      "svix-signature": `v1,${hmac(`m.${at}.`, key, "base64")}`
    }
    assert.isUndefined(
      signatureCheck(webhook({ signature: "standard" }))({ headers, body }, [`whsec_${key.toString("base64")}`], now)
    )
  })

  it("examples of the senders' own documentation", () => {
    // docs.github.com, "Validating webhook deliveries": testing the webhook payload validation.
    assert.isUndefined(
      signatureCheck(webhook({ signature: "github" }))(
        {
          headers: {
            "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
          },
          body: Buffer.from("Hello, World!")
        },
        ["It's a Secret to Everybody"],
        now
      )
    )
    // docs.slack.dev, "Verifying requests from Slack".
    const slack = Buffer.from(
      "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    assert.isUndefined(
      signatureCheck(webhook({ signature: "slack" }))(
        {
          headers: {
            "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            "x-slack-request-timestamp": "1531420618"
          },
          body: slack
        },
        ["8f742231b10e8888abcd99yyyzzz85a5"],
        1_531_420_618_000
      )
    )
  })

  it("a delivery without an id is known by its body", () => {
    const idOf = deliveryId(webhook({ signature: "stripe" }))
    const one = idOf({ headers: {}, body: Buffer.from('{"a":1}') })
    assert.match(one, /^body:[\w-]{43}$/u)
    assert.notStrictEqual(one, idOf({ headers: {}, body: Buffer.from('{"a":2}') }))
    for (const text of ["", "no json", '{"id":null}', '{"id":{}}', '{"id":""}']) {
      assert.match(idOf({ headers: {}, body: Buffer.from(text) }), /^body:/u, text)
    }
    assert.match(idOf({ headers: {}, body: Buffer.from(`{"id":"${"x".repeat(300)}"}`) }), /^hash:[\w-]{43}$/u)
  })

  it("Slack's handshake is answered, and nothing else is taken for one", () => {
    const slack = webhook({ signature: "slack" })
    const shake = Buffer.from('{"token":"t","challenge":"3eZb","type":"url_verification"}')
    assert.strictEqual(challengeOf(slack, { headers: {}, body: shake }), "3eZb")
    assert.isUndefined(challengeOf(webhook({ signature: "github" }), { headers: {}, body: shake }))
    for (const text of [
      '{"type":"event_callback","challenge":"url_verification"}',
      "url_verification",
      '{"type":"url_verification"}'
    ]) {
      assert.isUndefined(challengeOf(slack, { headers: {}, body: Buffer.from(text) }), text)
    }
  })
})
