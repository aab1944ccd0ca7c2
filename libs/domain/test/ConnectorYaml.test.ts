import { assert, describe, it } from "@effect/vitest"
import { Duration, Result } from "effect"
import { type ConfigProblem, formatProblem, parseConnector } from "../src/index.ts"
import { designFile, wholeFile } from "./files.ts"
import { wrongFiles } from "./wrongFiles.ts"

const problemsOf = (text: string): ReadonlyArray<ConfigProblem> =>
  Result.match(parseConnector(text, "shop.yaml"), { onFailure: (problems) => problems, onSuccess: () => [] })

const lineOf = ({ advice, column, expected, found, line, path }: ConfigProblem) =>
  `${line}:${column} ${path}: found ${found}, expected ${expected}. ${advice}`

describe("parseConnector", () => {
  it("accepts a file with every kind of setting", () => {
    assert.deepStrictEqual(problemsOf(wholeFile).map(lineOf), [])
  })

  it("fills in the defaults", () => {
    const { connector, warnings } = Result.getOrThrow(
      parseConnector("connector: a\nhttp: { base_url: https://a.example }\nstreams: { b: { path: /b } }\n", "a.yaml")
    )
    assert.deepStrictEqual(warnings, [])
    assert.strictEqual(connector.http.retries, 8)
    assert.isTrue(Duration.equals(connector.http.connect_timeout, Duration.seconds(10)))
    assert.deepStrictEqual(Object.values(connector.streams)[0]?.records, "$[*]")
    assert.strictEqual(Object.values(connector.streams)[0]?.topic.partitions, 1)
  })

  it("accepts the example of the design, but for the hash without a key", () => {
    const secret = "${vault:kv/shop#secret}"
    assert.deepStrictEqual(problemsOf(designFile(secret, "\n    salt: ${env:MASK_SALT}")).map(lineOf), [])
    assert.deepStrictEqual(problemsOf(designFile(secret, "")).map(lineOf), [
      "20:5 transform[0].salt: found no `salt`, expected `salt`: a reference to the secret: ${env:NAME}, ${file:path}, ${vault:path#field}, ${aws:name#field} or ${gcp:name#field}. Add it, for example salt: ${env:MASK_SALT}."
    ])
  })

  it("takes references to stores, and says what is wrong with one", () => {
    const good = [
      "${vault:kv/team/shop#client-secret}",
      "${aws:prod/shop}",
      "${aws:arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/shop-AbCdEf#secret}",
      "${gcp:shop#secret}",
      "${gcp:projects/p/secrets/shop/versions/3}"
    ]
    const salt = "\n    salt: ${env:MASK_SALT}"
    for (const reference of good) assert.deepStrictEqual(problemsOf(designFile(reference, salt)).map(lineOf), [])
    const wrong: ReadonlyArray<readonly [string, string]> = [
      ["${vault:kv/shop}", "Name the field of the secret: ${vault:kv/shop#field}."],
      ["${vault:shop#secret}", "Name the engine and the secret: ${vault:kv/shop#secret}."],
      ["${vault:}", "Name the secret of HashiCorp Vault and its field: ${vault:kv/shop#secret}."],
      ["${aws:}", "Name the secret of AWS Secrets Manager: ${aws:shop}, or ${aws:shop#field}."],
      ["${gcp:}", "Name the secret of Google Secret Manager: ${gcp:shop}, or ${gcp:shop#field}."],
      ["${gcp:a#b#c}", "The name of a secret has no space, no { or } and at most one #, before the field."]
    ]
    for (const [reference, advice] of wrong) {
      const [line = ""] = problemsOf(designFile(reference, salt)).map(lineOf)
      assert.include(line, advice)
    }
  })

  for (const [name, text, ...expected] of wrongFiles) {
    it(`refuses ${name}`, () => assert.deepStrictEqual(problemsOf(text).map(lineOf), [...expected]))
  }

  it("reports all problems at once, in the order of the file", () => {
    const text = wholeFile
      .replace("connector: shop", "connector: Shop")
      .replace("per: 1 minute", "per: 1m")
      .replace("path: /items", "pth: /items")
      .replace("mode: upsert", "mode: upset")
    assert.deepStrictEqual(
      problemsOf(text).map(({ path }) => path),
      ["connector", "http.rate_limit.per", "streams.items.pth", "sink.clickhouse.mode"]
    )
  })

  it("uses aliases for whole values, and reports a wrong one where it stands", () => {
    const text = wholeFile
      .replace("pagination: { cursor", "pagination: &pages { cursor")
      .replace("{ page: page, size: 50, size_param: per_page }", "*pages")
    assert.deepStrictEqual(problemsOf(text).map(lineOf), [])
    const wrong = text
      .replace("{ requests: 600, per: 1 minute, key: shop }", "&rate { requests: 600, per: 1 minute }")
      .replace("transform: []", "transform: *rate")
    assert.deepStrictEqual(problemsOf(wrong).map(lineOf), [
      "37:16 streams.items.transform: found the settings requests, per, expected a list. Correct the value."
    ])
  })

  it("is not stopped by what grows when it is read", () => {
    const bomb = Array.from({ length: 12 }, (_, level) => `  - &a${level + 1} [${`*a${level}, `.repeat(9)}]`).join("\n")
    const aliases = `connector: a\nhttp: { base_url: https://a.example }\nstreams: &s\n  b: { path: /b, transform: [{ keep: &a0 [x] }] }\nsink:\n${bomb}\n`
    const nested = `connector: ${"[".repeat(50_000)}`
    const listed = `connector: ${"- ".repeat(20_000)}`
    const own =
      "connector: a\nhttp: { base_url: https://a.example }\nstreams: { b: { path: /b, transform: &t [*t, *t, *t] } }\n"
    for (const text of [aliases, nested, listed, own, "x".repeat(2_000_000), "\u{feff}", "\0", "---\n...\n---"]) {
      assert.isNotEmpty(problemsOf(text))
    }
  })

  it("warns of what is allowed but probably not meant", () => {
    const text = wholeFile
      .replace("https://${env:SHOP_HOST}/v1", "http://shop.example")
      .replace("    primary_key: [shop.id, id]\n", "")
      .replace("    mode: upsert\n", "")
    const { warnings } = Result.getOrThrow(parseConnector(text, "shop.yaml"))
    assert.deepStrictEqual(warnings.map(lineOf), [
      "10:3 http.base_url: found an address without encryption, expected https://. Tokens can be read on the way; use https:// unless the network is your own.",
      "20:53 streams.orders.incremental.lookback: found `lookback` without `primary_key`, expected a key that tells records apart. Add `primary_key`; without it a record that changed cannot be told from a new one."
    ])
  })
})

describe("formatProblem", () => {
  const formatted = (text: string) => problemsOf(text).map((problem) => formatProblem(problem))

  it("shows the line and a caret", () => {
    assert.deepStrictEqual(formatted(wholeFile.replace("records: $.data[*]", "recods: $.data[*]")), [
      [
        "error: streams.orders.recods: found the unknown setting `recods`, expected one of path, address, method, query, headers, body, format, charset, csv, unpack, records, filter, expand, add, primary_key, job, webhook, pagination, partitions, concurrency, errors, incremental, poll, jitter, schema, topic, transform, sink",
        "  --> shop.yaml:18:5",
        "   |",
        "18 |     recods: $.data[*]",
        "   |     ^^^^^^",
        "   = Did you mean records?"
      ].join("\n")
    ])
  })

  it("cuts a long line around its problem, and takes the line ends of Windows", () => {
    const text = `connector: shop\r\nhttp: { headers: { x-a: ${"a".repeat(300)} }, base_ulr: https://a.example }\r\nstreams: { b: { path: /b } }\r\n`
    assert.deepStrictEqual(formatted(text), [
      [
        "error: http.base_ulr: found the unknown setting `base_ulr`, expected one of base_url, headers, rate_limit, connect_timeout, headers_timeout, body_timeout, page_timeout, max_page_bytes, max_pages, adapt, limit_headers, circuit_breaker, retries, connections, http2, proxy, tls",
        " --> shop.yaml:2:329",
        "  |",
        `2 | ...${"a".repeat(67)} }, base_ulr: https://a.example }`,
        `  | ${" ".repeat(74)}^^^^^^^^`,
        "  = Did you mean base_url?"
      ].join("\n")
    ])
  })

  it("shows no secret in the line, nor control characters", () => {
    const [problem] = formatted(
      'connector: shop\nhttp: { base_url: https://a.example, headers: { X-Api-Key: hunter2, x-b: "${env:", x-c: "\u{1b}[2J" } }\nstreams: { b: { path: /b } }\n'
    )
    assert.include(problem, "headers: { X-Api-Key: *******, x-b:")
    assert.notInclude(problem, "hunter2")
    assert.notInclude(problem, "\u{1b}")
  })

  it("hides by its name what is wrong for another reason", () => {
    const [shown = "", ...others] = formatted(
      "connector: a\nhttp: { base_url: https://a.example }\nstreams: { b: { path: /b, schema: { auth_token: correcthorse } } }\n"
    )
    assert.isEmpty(others)
    assert.include(shown, "found a value in the open (not shown, it may be a secret), expected a field type")
    assert.notInclude(shown, "correcthorse")
  })

  it("shows no secret of a file that is not well-formed", () => {
    const shown = [
      ...formatted("connector: a\nauth: { client_secret: correcthorse, scopes: [}\n"),
      ...formatted("connector: a\nauth:\n  client_secret: |\n   correct\n  horse\n  battery: x\n"),
      ...formatted("connector: a\nauth:\n  client_secret: correct: horse\n"),
      ...formatted("connector: a\nauth:\n  clientid: b, clientscrt: c0rr3cthorse: x\n")
    ].join("\n")
    assert.notMatch(shown, /correct|horse|c0rr3ct/u)
    assert.include(shown, "2 | auth: { client_secret: ")
  })
})
