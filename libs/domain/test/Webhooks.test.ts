import { assert, describe, it } from "vitest"
import { parseConnector } from "../src/index.ts"

/** What is said of a file with this `webhook`: place and finding. */
const said = (webhook: string, more = ""): ReadonlyArray<string> => {
  const text = `connector: shop\nstreams:\n  orders:\n    webhook: ${webhook}\n${more}`
  const parsed = parseConnector(text, "shop.yaml")
  return parsed._tag === "Success" ? [] : parsed.failure.map(({ found, path }) => `${path}: ${found}`).toSorted()
}
const at = "streams.orders.webhook"
const github = 'signature: github, secret: "${env:X}"'
const hmac = 'signature: hmac, secret: "${env:X}"'

describe("webhook", () => {
  it.each([
    [`{ ${github} }`, []],
    [`{ ${github}, path: /hooks/a.b, other_secrets: ["\${file:./old}"] }`, []],
    [`{ ${hmac}, header: x-sig, signed: "{timestamp}.{body}", timestamp_header: x-at }`, []],
    [
      '{ signature: github, secret: "in the open" }',
      [`${at}.secret: a value in the open (not shown, it may be a secret)`]
    ],
    [
      `{ ${github}, other_secrets: [hidden] }`,
      [`${at}.other_secrets[0]: a value in the open (not shown, it may be a secret)`]
    ],
    [`{ ${github}, path: hooks }`, [`${at}.path: "hooks"`]],
    [`{ ${github}, path: "/hooks?x" }`, [`${at}.path: "/hooks?x"`]],
    [`{ ${github}, header: x-sig }`, [`${at}.header: \`header\` with the signature github`]],
    [`{ ${hmac} }`, [`${at}.header: no \`header\` with the signature hmac`]],
    [
      `{ ${hmac}, header: x-sig, signed: "{timestamp}" }`,
      [
        `${at}.signed: "{timestamp}"`,
        `${at}.timestamp_header: {timestamp} in \`signed\` without \`timestamp_header\`, or the other way round`
      ]
    ],
    [`{ ${hmac}, header: x-sig, signed: "{id}{body}" }`, [`${at}.signed: {id} without \`id_header\``]]
  ])("%s", (webhook, expected) => assert.deepStrictEqual(said(webhook), expected.toSorted()))

  it("goes with nothing that asks", () =>
    assert.deepStrictEqual(
      said(`{ ${github} }`, "    path: /orders\n    format: csv\n    pagination: { link: next }\n"),
      [
        "streams.orders.format: csv with `webhook`",
        "streams.orders.pagination: `pagination` beside `webhook`",
        "streams.orders.path: `path` beside `webhook`"
      ]
    ))

  it("has a path of its own", () =>
    assert.deepStrictEqual(said(`{ ${github}, path: /a }`, `  items:\n    webhook: { ${github}, path: /a }\n`), [
      "streams.items.webhook.path: the path /a, at which the stream orders is received"
    ]))
})
