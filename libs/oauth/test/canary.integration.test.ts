import { assert, it } from "@effect/vitest"
import { Tokens, TokenTransport } from "@tributary/oauth"
import { startAuthServer } from "@tributary/testkit"
import { Environment, Secrets } from "@tributary/secrets"
import { Budgets, Leases, SqliteTokenStore, TokenStore } from "@tributary/vault"
import { Cause, Effect, Exit, Layer, Logger, Option, Redacted, References, Tracer } from "effect"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inspect } from "node:util"
import { authorization } from "./support.ts"

/** What must not be found anywhere: planted secrets, and every token that the server ever issued. */
const canaries = new Set<string>()

it.live("no secret and no token is in logs, spans, errors, dumps or files", () =>
  Effect.gen(function* () {
    const directory = mkdtempSync(join(tmpdir(), "tributary-canary-"))
    yield* Effect.addFinalizer(() => Effect.sync(() => rmSync(directory, { recursive: true })))
    const secret = "canary-Secret/0123+456&789"
    const clients = [{ id: "client", secret }]
    const server = yield* Effect.acquireRelease(
      Effect.promise(() => startAuthServer({ clients, graceMs: 60_000 })),
      (server) => Effect.promise(() => server.stop())
    )
    server.control.shape((body) => {
      for (const name of ["access_token", "refresh_token"]) if (name in body) canaries.add(String(body[name]))
      return body
    })
    const first = server.control.issueRefreshToken()
    canaries.add(secret).add(first)

    const output: Array<string> = []
    const put = (what: unknown) =>
      output.push(
        String(what),
        inspect(what, { depth: 20, showHidden: true }),
        JSON.stringify(what, (_, field: unknown) => (typeof field === "bigint" ? String(field) : field)) ?? ""
      )
    const logger = Logger.make((options) => {
      put(options.message)
      put(Cause.pretty(options.cause))
      output.push(Logger.formatJson.log(options), Logger.formatLogFmt.log(options))
    })
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    const spans: Array<Tracer.NativeSpan> = []

    const environment = Layer.succeed(Environment, {
      CLIENT_SECRET: secret,
      FIRST: first,
      DEAD: "canary-dead-refresh-token-0123456789",
      WRONG: "canary-wrong-secret-0123456789"
    })
    canaries.add("canary-dead-refresh-token-0123456789").add("canary-wrong-secret-0123456789")
    /** A transport that fails as programs do: with the request in the message. */
    const defective = Layer.succeed(TokenTransport, {
      send: (request) => Effect.die(new Error(`cannot send ${JSON.stringify(Redacted.value(request.contents))}`))
    })
    /** A server that answers with what it was sent. */
    const echoing = Layer.succeed(TokenTransport, {
      send: (request) => {
        const { body = "", headers } = Redacted.value(request.contents)
        const said = `bad request: ${body} ${headers["authorization"]} ${new URLSearchParams(body).get("refresh_token")}`
        return Effect.succeed({
          status: 400,
          headers: {},
          body: JSON.stringify({ error: "oops", error_description: said })
        })
      }
    })
    const store = SqliteTokenStore.layer({ directory })
    const tokens = (transport: Layer.Layer<TokenTransport>) =>
      Tokens.layerNoDeps.pipe(
        Layer.provide([transport, Leases.layerMemory, Budgets.layer, Secrets.layer.pipe(Layer.provide(environment))]),
        Layer.provideMerge(store)
      )
    const refresh = { oauth2: "refresh_token", token_url: server.tokenUrl, refresh_token: "${env:FIRST}" }

    const use = (settings: Record<string, unknown>, id: string, faults: () => void = () => {}) =>
      Effect.gen(function* () {
        const manager = yield* (yield* Tokens).manager(authorization(settings, id))
        put(manager)
        const token = yield* manager.get
        put(token)
        yield* Effect.logInfo("A token.", { token })
        faults()
        yield* manager.rejected(token)
        put(yield* manager.get)
        put(Option.getOrUndefined(yield* (yield* TokenStore).load(id)))
      }).pipe(
        Effect.scoped,
        Effect.tapCause((cause) => Effect.logError("It failed.", cause)),
        Effect.exit,
        Effect.tap((exit) =>
          Effect.sync(() => {
            put(exit)
            if (Exit.isFailure(exit)) {
              put(Cause.pretty(exit.cause))
              put(Cause.squash(exit.cause))
              for (const error of Cause.prettyErrors(exit.cause)) put([error.message, error.stack, error.cause])
            }
          })
        )
      )

    const run = Effect.gen(function* () {
      const good = tokens(Layer.orDie(TokenTransport.layer))
      const exits = yield* Effect.gen(function* () {
        return [
          yield* use({ token_url: server.tokenUrl }, "plain"),
          yield* use({ token_url: server.tokenUrl, client_auth: "post" }, "post"),
          yield* use(refresh, "refresh"),
          yield* use({ token_url: server.tokenUrl }, "passing", () =>
            server.control.next("drop", "truncated", "bad-gateway")
          ),
          yield* use({ ...refresh, refresh_token: "${env:DEAD}" }, "dead"),
          yield* use({ token_url: server.tokenUrl, client_secret: "${env:WRONG}" }, "wrong"),
          yield* use({ token_url: `${server.url}/none` }, "nowhere"),
          yield* use({ token_url: server.tokenUrl }, "throttled", () => server.control.next("throttled"))
        ]
      }).pipe(Effect.provide(good, { local: true }))
      const broken = [defective, echoing].map((transport) =>
        Effect.gen(function* () {
          return [yield* use(refresh, "broken"), yield* use({ ...refresh, client_auth: "post" }, "broken post")]
        }).pipe(Effect.provide(tokens(transport), { local: true }))
      )
      return [exits, yield* Effect.all(broken)].flat(2)
    }).pipe(
      Effect.provide(Layer.mergeAll(Logger.layer([logger]), Layer.succeed(Tracer.Tracer, tracer))),
      Effect.provideService(References.MinimumLogLevel, "All")
    )
    const exits = yield* run
    assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, true, true, true, ...Array(8).fill(false)])

    for (const span of spans) {
      put([...span.attributes])
      put(span.events)
      put(span.status)
      put(span.name)
    }
    assert.isAbove(spans.length, 20)
    for (const file of readdirSync(directory)) output.push(readFileSync(join(directory, file), "latin1"))
    const everything = output.join("\n")
    assert.include(everything, "Access token obtained.", "the search looks at the logs")
    assert.include(everything, "internal error", "defects are among what was searched")
    assert.isAbove(canaries.size, 10)
    for (const canary of canaries) {
      const spellings = [
        canary,
        encodeURIComponent(canary),
        Buffer.from(canary).toString("base64").replace(/=+$/, ""),
        Buffer.from(`client:${encodeURIComponent(canary)}`)
          .toString("base64")
          .replace(/=+$/, "")
      ]
      for (const spelling of spellings) {
        const at = everything.indexOf(spelling)
        if (at >= 0) assert.fail(`found a secret: …${everything.slice(Math.max(0, at - 200), at + 80)}…`)
      }
    }
  })
)
