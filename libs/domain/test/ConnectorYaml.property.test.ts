import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Predicate, Result, Schema } from "effect"
import { stringify } from "yaml"
import { Connector, formatProblems, parseConnector } from "../src/index.ts"
import { wholeFile } from "./files.ts"
import { wireForm } from "./WireForm.ts"

type Settings = Record<string, unknown>

const settingsIn = (parent: unknown, name: string): Settings | undefined => {
  const value = Predicate.isObject(parent) ? Reflect.get(parent, name) : undefined
  return Predicate.isObject(value) && !Array.isArray(value) ? { ...value } : undefined
}

/** Mends what no single setting can know: the rest of the file decides whether it fits. */
const mended = (file: unknown): Settings => {
  const auth = settingsIn(file, "auth")
  const query = auth?.["query"]
  if (query !== undefined) {
    delete auth?.["header"]
    delete auth?.["prefix"]
  }
  if (auth !== undefined && "oauth2" in auth) {
    if ("issuer" in auth) delete auth["token_url"]
    else auth["token_url"] = "https://id.example/token"
    const own = { jwt_bearer: "assertion", token_exchange: "exchange", custom: "custom" }
    const login = settingsIn(auth, "login")
    if (auth["oauth2"] === "login") {
      auth["login"] = {
        ...login,
        url: "https://a.example/login",
        body: {},
        exchange: { grant_type: "x", parameter: "y" }
      }
    } else {
      delete auth["login"]
    }
    if (auth["oauth2"] === "authorization_code") {
      auth["authorization_url"] ??= "https://id.example/authorize"
    } else {
      for (const name of ["authorization_url", "redirect_uri", "authorization_params"]) delete auth[name]
    }
    if (auth["oauth2"] === "device_code") auth["device_authorization_url"] ??= "https://id.example/device"
    else if (auth["oauth2"] !== "authorization_code") delete auth["device_authorization_url"]
    if (auth["oauth2"] === "refresh_token") auth["refresh_token"] = "${file:token}"
    else delete auth["refresh_token"]
    for (const [grant, part] of Object.entries(own)) {
      if (auth["oauth2"] !== grant) delete auth[part]
      else auth[part] ??= { key: "${file:key}", subject_token: "${file:subject}", grant_type: "x" }
    }
    const assertion = settingsIn(auth, "assertion")
    if (assertion !== undefined) auth["assertion"] = { ...assertion, key: "${file:key}", lifetime: "1 minute" }
    for (const [part, keys] of [
      ["assertion", ["subject_token", "grant_type"]],
      ["exchange", ["key", "grant_type"]],
      ["custom", ["key", "subject_token"]]
    ] as const) {
      const settings = settingsIn(auth, part)
      for (const key of keys) delete settings?.[key]
      if (settings !== undefined) auth[part] = settings
    }
    if ("dpop" in auth) for (const name of ["header", "prefix"]) delete auth[name]
    auth["client_id"] ??= "a"
    if (!("provider" in auth)) delete auth["params"]
    const secret = auth["client_secret"]
    auth["client_secret"] = Array.isArray(secret) ? secret.slice(0, 2) : "${env:SECRET}"
    if (auth["client_auth"] === "none") auth["client_auth"] = "post"
    if (auth["client_auth"] === "private_key_jwt") auth["client_key"] ??= { key: "${file:key}" }
    else delete auth["client_key"]
    const tls = settingsIn(auth, "tls")
    if (tls !== undefined || String(auth["client_auth"]).includes("tls")) {
      auth["tls"] = { ...tls, certificate: "${file:crt}", key: "${file:key}" }
    }
  }
  const top: Settings = { ...settingsIn({ file }, "file") }
  // Templates and what was found for them belong together; they have tests of their own.
  delete top["streams_from"]
  if ("manifest" in top) delete top["module"]
  else {
    delete top["hooks"]
    delete top["state"]
  }
  const streams = Object.entries(settingsIn(file, "streams") ?? { orders: {} }).map(([name, value]) => {
    const stream: Settings = { ...settingsIn({ value }, "value"), primary_key: "id" }
    if ("manifest" in top) {
      // The manifest says how it is read.
      const rest: Settings = { primary_key: "id" }
      for (const name of ["topic", "schema", "jitter", "poll"]) if (name in stream) rest[name] = stream[name]
      return [name, rest] as const
    }
    const pagination = settingsIn(stream, "pagination")
    if (pagination !== undefined) {
      for (const name of ["param", "page", "size_param", "offset", "limit_param"]) {
        if (name in pagination) pagination[name] = `${name}:${String(pagination[name])}`
      }
      if ("size_param" in pagination) pagination["size"] = 3
      delete pagination["restart_after"]
      if (pagination["in"] === "placeholder") pagination["in"] = "header"
      stream["pagination"] = pagination
      delete stream["format"]
    }
    const incremental = settingsIn(stream, "incremental")
    if (incremental !== undefined) {
      if ("start" in incremental) incremental["start"] = incremental["type"] === "number" ? "-17.5" : "2026-01-01"
      if (!("next_url" in incremental)) incremental["param"] = `since:${String(incremental["param"])}`
      if (!("field" in incremental)) delete stream["format"]
      for (const name of ["step", "until_param", "clamp", "format", "param_format"]) delete incremental[name]
      stream["incremental"] = incremental
    }
    // A query at random has no variables.
    if (
      "graphql" in (settingsIn(stream, "body") ?? {}) &&
      [pagination, incremental].some((from) => from?.["in"] === "body")
    ) {
      delete stream["body"]
    }
    const webhook = settingsIn(stream, "webhook")
    if (webhook !== undefined) {
      // What is sent is not asked for.
      const sent: Settings = { primary_key: "id", webhook }
      for (const name of ["topic", "schema", "jitter", "poll", "records"]) if (name in stream) sent[name] = stream[name]
      for (const name of ["header", "prefix", "timestamp_header", "signed", "path"]) delete webhook[name]
      webhook["signature"] = "github"
      return [name, sent] as const
    }
    const job = settingsIn(stream, "job")
    if (job !== undefined) {
      job["create"] = { ...settingsIn(job, "create"), path: "/x" }
      job["status"] = "$.status"
      for (const state of ["running", "done", "empty", "failed", "expired"]) job[state] = [state]
      const link = settingsIn(job, "link")
      if (link !== undefined) job["link"] = { ...link, path: "/x" }
      if ("link" in job) job["results"] ??= "$.url"
      stream["job"] = job
    }
    stream["path"] ??= "/x"
    delete stream["method"]
    delete stream["partitions"]
    return [name, stream] as const
  })
  return {
    ...top,
    http: { base_url: "https://a.example", ...settingsIn(file, "http") },
    ...(auth === undefined ? {} : { auth }),
    streams: Object.fromEntries(streams)
  }
}

const file = Arbitrary.map(wireForm(Connector.ast), mended)
const isSame = Schema.toEquivalence(Connector)

describe("any connector", () => {
  it.effect.prop(
    "written as YAML is read as the same connector",
    [file, Arbitrary.schema(Schema.Boolean)],
    ([file, inBlocks]) =>
      Effect.gen(function* () {
        const text = stringify(file, { collectionStyle: inBlocks ? "block" : "flow" })
        const parsed = parseConnector(text, "a.yaml")
        if (Result.isFailure(parsed)) assert.fail(`${formatProblems(parsed.failure)}\n${text}`)
        const expected = yield* Schema.decodeUnknownEffect(Connector)(file)
        assert.isTrue(isSame(parsed.success.connector, expected), text)
        // What a service hands on is the encoded form: it must come back as the same connector, too.
        const encoded = stringify(yield* Schema.encodeEffect(Connector)(expected))
        assert.isTrue(isSame(Result.getOrThrow(parseConnector(encoded, "b.yaml")).connector, expected), encoded)
      }),
    { arbitrary: { runs: 60 } }
  )
})

const secret = "hunter2-S3cr3t"
/** Files with secrets in the open, in all places where one is known to be. */
const openFiles = [
  wholeFile.replace("client_secret: ${env:SHOP_SECRET}", `client_secret: ${secret}`),
  wholeFile.replace("client_secret: ${env:SHOP_SECRET}", `client_secret: |\n    ${secret}\n    ${secret}`),
  wholeFile.replace("refresh_token: ${file:./refresh-token}", `refresh_token: "${secret}"`),
  wholeFile.replace('x-api-key: "${env:SHOP_KEY}"', `x-api-key: ${secret}`),
  wholeFile.replace("x-api-version", "Authorization").replace('"2"', `"Bearer ${secret}"`),
  wholeFile.replace("https://id.shop.example", `https://bob:${secret}@id.shop.example`),
  wholeFile.replace("https://${env:SHOP_HOST}/v1", `https://a.example/?access_token=${secret}`),
  wholeFile.replace("salt: ${env:MASK_SALT}", `salt: '${secret}'`),
  wholeFile.replace("  scopes:", `  password: ${secret}\n  scopes:`),
  wholeFile.replace("per_page: 100", `api_key: ${secret}`)
]

const position = Arbitrary.schema(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })))
const inserts = [
  "{",
  "}",
  "[",
  "]",
  '"',
  "'",
  ":",
  ": ",
  "\n",
  "\n  ",
  "\t",
  "#",
  "&a ",
  "*a",
  "!x ",
  "- ",
  "|",
  ">",
  "${",
  "}",
  "\0",
  "---\n",
  "<<: ",
  "é",
  "\u{1f600}",
  "%",
  "@"
]
const mutation = Arbitrary.all({
  at: position,
  length: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 }))),
  insert: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: inserts.length })))
})
const mutations = Arbitrary.array(mutation, { minLength: 0, maxLength: 4 })

const mutate = (text: string, changes: ReadonlyArray<{ at: number; length: number; insert: number }>) => {
  let mutated = text
  for (const { at, insert, length } of changes) {
    const start = Math.floor(at * mutated.length)
    mutated = mutated.slice(0, start) + (inserts[insert] ?? "") + mutated.slice(start + length)
  }
  return mutated
}

describe("any text", () => {
  it.effect.prop(
    "is read, or refused with problems that stand in it",
    [mutations, position],
    ([changes, end]) =>
      Effect.sync(() => {
        const mutated = mutate(wholeFile, changes)
        const text = changes.length % 2 === 0 ? mutated : mutated.slice(0, Math.floor(end * mutated.length))
        const parsed = parseConnector(text, "a.yaml")
        if (Result.isSuccess(parsed)) return
        assert.isNotEmpty(parsed.failure)
        const lines = text.split("\n")
        for (const { advice, column, expected, found, line } of parsed.failure) {
          assert.isAtLeast(line, 1)
          assert.isAtMost(line, lines.length)
          assert.isAtLeast(column, 1)
          assert.isAtMost(column, (lines[line - 1] ?? "").length + 1)
          for (const part of [advice, expected, found]) assert.isNotEmpty(part)
        }
        assert.isNotEmpty(formatProblems(parsed.failure))
      }),
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop("without any structure is refused", [Arbitrary.schema(Schema.String)], ([text]) =>
    Effect.sync(() => assert.isTrue(Result.isFailure(parseConnector(text, "a.yaml"))))
  )

  for (const [index, open] of openFiles.entries()) {
    it.effect.prop(
      `with a secret in the open shows no part of it (${index + 1})`,
      [mutations],
      ([changes]) =>
        Effect.sync(() => {
          assert.include(open, secret)
          // Where the secret stands there is most to be broken.
          const middle = open.indexOf(secret)
          const near = [Math.max(0, middle - 80), Math.min(open.length, middle + 60)] as const
          const part = mutate(open.slice(...near), changes)
          const parsed = parseConnector(open.slice(0, near[0]) + part + open.slice(near[1]), "a.yaml")
          if (Result.isSuccess(parsed)) return
          const shown = formatProblems(parsed.failure) + JSON.stringify(parsed.failure)
          assert.notMatch(shown, /hunter2|S3cr3t/u)
        }),
      { arbitrary: { runs: 50 } }
    )
  }
})
