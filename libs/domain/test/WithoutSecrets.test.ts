import { assert, describe, it } from "@effect/vitest"
import { connectorWithoutSecrets, textWithoutSecrets } from "../src/WithoutSecrets.ts"

const right = [
  "connector: shop",
  "# basic authentication is not used",
  "auth:",
  "  oauth2: client_credentials",
  "  token_url: https://id.example/token",
  "  client_id: ${env:SHOP_ID}",
  "  client_secret: ${file:secrets/shop secret}",
  "http:",
  "  base_url: https://api.example",
  '  headers: { X-Api-Key: "key ${env:TOKEN}" }',
  "streams:",
  "  tokens: { path: /tokens, primary_key: id }",
  ""
].join("\n")

describe("a connector file without its secrets", () => {
  it("is the file itself when it has none", () => {
    const plain = right.replace("# basic authentication is not used\n", "")
    assert.strictEqual(connectorWithoutSecrets(plain), plain)
    assert.strictEqual(connectorWithoutSecrets(`\u{feff}${plain}`), `\u{feff}${plain}`)
  })

  it.each([
    ["a secret setting", right.replace("${file:secrets/shop secret}", "hunter2")],
    ["a header", right.replace("key ${env:TOKEN}", "hunter2")],
    ["an address", right.replace("https://id.", "https://user:hunter2@id.")],
    ["a comment", `${right}# Authorization: Bearer hunter2-old\n`],
    ["a block", right.replace("${file:secrets/shop secret}", "|\n    hunter2\n    hunter2")],
    ["a setting with a misspelt name", right.replace("client_secret: ${file:secrets/shop secret}", "secert: hunter2")],
    [
      "a file that is not YAML",
      right.replace("streams:", "streams: [").replace("${file:secrets/shop secret}", "hunter2")
    ],
    ["a file that is nested too deeply", `client_secret: hunter2\n${"[".repeat(20_000)}`],
    ["a file that is too large", `client_secret: hunter2\n${"#".repeat(1_100_000)}\npassword: hunter2`]
  ])("hides the one in %s and nothing is moved", (_, text) => {
    const shown = connectorWithoutSecrets(text)
    assert.notInclude(shown, "hunter2")
    assert.strictEqual(shown.length, text.length)
    assert.strictEqual(shown.split("\n").length, text.split("\n").length)
  })

  it("keeps references beside what it hides", () => {
    const shown = connectorWithoutSecrets(right.replace("${file:secrets/shop secret}", "hunter2"))
    assert.include(shown, "client_id: ${env:SHOP_ID}")
    assert.include(shown, "${env:TOKEN}")
  })
})

describe("a text without its secrets", () => {
  it("has the rest of every line", () => {
    const text = "const url = 'https://a:hunter2@b.example/?api_key=hunter2&x=1'\nconst basic\n= 12345678\n"
    const shown = textWithoutSecrets(text)
    assert.notInclude(shown, "hunter2")
    assert.include(shown, "&x=1")
    assert.include(shown, "const basic\n= 12345678")
  })
})
