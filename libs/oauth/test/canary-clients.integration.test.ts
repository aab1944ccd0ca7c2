import { assert, it } from "@effect/vitest"
import { makeServerCalls, Tokens, TokenTransport } from "@tributary/oauth"
import { Budgets, Leases, TokenStore } from "@tributary/vault"
import { Cause, ConfigProvider, Effect, Exit, Layer, Logger, Redacted, References, Tracer } from "effect"
import { execFileSync } from "node:child_process"
import { inspect } from "node:util"
import { ec, pem, rsa } from "./GrantServer.ts"
import { authorization, secrets } from "./support.ts"

/** A secret in the forms in which it may be told: as it is, encoded, and for a key each line of it. */
const spellings = (secret: string): ReadonlyArray<string> =>
  secret.includes("-----")
    ? secret.split("\n").filter((line) => line.length > 24 && !line.startsWith("-----"))
    : [
        secret,
        encodeURIComponent(secret),
        new URLSearchParams({ v: secret }).toString().slice(2),
        Buffer.from(secret).toString("base64").replace(/=+$/u, ""),
        Buffer.from(`client:${secret}`).toString("base64").replace(/=+$/u, "")
      ]

it.live("no key, assertion, proof or token of any grant is in logs, spans or errors, whatever the server says", () =>
  Effect.gen(function* () {
    const certificate = execFileSync(
      "openssl",
      ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "-", "-days", "2", "-subj", "/CN=canary"],
      { stdio: ["ignore", "pipe", "ignore"] }
    ).toString()
    const environment = {
      CLIENT_SECRET: "canary-Secret/0123+456&789",
      RSA: pem(rsa().privateKey),
      EC: pem(ec().privateKey),
      BROKEN: `-----BEGIN PRIVATE KEY-----\n${"canaryBrokenKey0123456789".repeat(3)}\n-----END PRIVATE KEY-----`,
      SUBJECT: "canary-subject-token-0123",
      ACTOR: "canary-actor-token-0123",
      PASSWORD: "canary pass/word!",
      HEADER: "canary-header-0123",
      TLS_KEY: certificate.slice(0, certificate.indexOf("-----BEGIN CERTIFICATE")),
      TLS_CERTIFICATE: certificate.slice(certificate.indexOf("-----BEGIN CERTIFICATE"))
    }
    const { TLS_CERTIFICATE: _, ...canaries } = environment
    const sent = new Set<string>()
    const output: Array<string> = []
    const put = (what: unknown) => {
      output.push(String(what), inspect(what, { depth: 20, showHidden: true }))
    }
    /** Answers with everything that it was sent. */
    const echoing = Layer.succeed(TokenTransport, {
      send: (request) => {
        const { body = "", headers } = Redacted.value(request.contents)
        const form = new URLSearchParams(body)
        for (const name of ["client_assertion", "assertion"]) {
          const value = form.get(name)
          if (value !== null) sent.add(value)
        }
        if (headers["dpop"] !== undefined) sent.add(headers["dpop"])
        const said = `no: ${body} ${headers["authorization"]} ${headers["dpop"]} ${headers["x-secret"]} ${[...form.values()].join(" ")}`
        const answer = { error: "invalid_request", error_description: said }
        return Effect.succeed({ status: 400, headers: {}, body: JSON.stringify(answer) })
      }
    })
    const spans: Array<Tracer.NativeSpan> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    const logger = Logger.make((options) => {
      put(options.message)
      put(Cause.pretty(options.cause))
    })
    const url = {
      token_url: "https://id.example/token",
      introspection_url: "https://id.example/introspect"
    }
    const keyed = { client_auth: "private_key_jwt", client_key: { key: "${env:RSA}" } }
    const all: ReadonlyArray<Record<string, unknown>> = [
      { client_auth: "post" },
      { client_auth: "basic_raw" },
      { client_auth: "client_secret_jwt" },
      keyed,
      { ...keyed, dpop: { key: "${env:EC}" } },
      { ...keyed, client_key: { key: "${env:BROKEN}" } },
      {
        client_auth: "tls_client_auth",
        tls: { certificate: "${env:TLS_CERTIFICATE}", key: "${env:TLS_KEY}", ca: "${env:TLS_CERTIFICATE}" }
      },
      { client_auth: "tls_client_auth", tls: { certificate: "${env:TLS_CERTIFICATE}", key: "${env:RSA}" } },
      { client_auth: "none", oauth2: "jwt_bearer", assertion: { key: "${env:EC}" } },
      { oauth2: "token_exchange", exchange: { subject_token: "${env:SUBJECT}", actor_token: "${env:ACTOR}" } },
      {
        oauth2: "custom",
        custom: { grant_type: "password", params: { username: "ada", password: "${env:PASSWORD}" } },
        token_request: { headers: { "x-secret": "${env:HEADER}" } }
      }
    ]
    const layer = Tokens.layerNoDeps.pipe(
      Layer.provideMerge(
        Layer.mergeAll(
          echoing,
          secrets(environment),
          Leases.layerMemory,
          Budgets.layer,
          TokenStore.layerMemory,
          ConfigProvider.layer(ConfigProvider.fromEnvRecord({}))
        )
      )
    )
    const look = (exit: Exit.Exit<unknown, unknown>) => {
      put(exit)
      if (Exit.isFailure(exit)) {
        put(Cause.pretty(exit.cause))
        for (const error of Cause.prettyErrors(exit.cause)) put([error.message, error.stack, error.cause])
      }
      return Exit.isFailure(exit)
    }
    yield* Effect.forEach(all, (settings, index) =>
      Effect.gen(function* () {
        const given = authorization({ ...url, ...settings }, `a${index}`)
        const { get } = yield* (yield* Tokens).manager(given)
        const failed = look(yield* Effect.exit(Effect.tapCause(get, (cause) => Effect.logError("It failed.", cause))))
        assert.isTrue(failed)
        const { introspect } = yield* makeServerCalls(given)
        const token = Redacted.make("canary-introspected-token-0123")
        look(yield* Effect.exit(Effect.tapCause(introspect(token), (cause) => Effect.logError("It failed.", cause))))
      }).pipe(Effect.scoped)
    ).pipe(
      Effect.provide(Layer.mergeAll(layer, Logger.layer([logger]), Layer.succeed(Tracer.Tracer, tracer))),
      Effect.provideService(References.MinimumLogLevel, "All")
    )
    for (const span of spans) put([span.name, [...span.attributes], span.events, span.status])
    const everything = output.join("\n")
    assert.include(everything, "400 invalid_request", "the search looks at what the server said")
    assert.include(everything, "ada", "what is not secret is left")
    assert.isAtLeast(sent.size, 6, "assertions and proofs are among what is searched for")
    for (const canary of [...Object.values(canaries), ...sent, "canary-introspected-token-0123"]) {
      for (const spelling of spellings(canary)) {
        const at = everything.indexOf(spelling)
        if (at >= 0) assert.fail(`found a secret: …${everything.slice(Math.max(0, at - 200), at + 80)}…`)
      }
    }
  })
)
