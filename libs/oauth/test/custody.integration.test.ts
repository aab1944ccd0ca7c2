import { unhurried } from "@tributary/testkit"
import { type AccessToken, type TokenManager, Tokens } from "@tributary/oauth"
import type { AuthServer } from "@tributary/testkit"
import { Budgets, Leases, SqliteTokenStore, TokenStore } from "@tributary/vault"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Fiber, Layer, Logger, Option, Redacted, Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { authorization, authServer, secrets, until } from "./support.ts"

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-custody-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

/** Every token that the server issues. */
const issuedBy = (server: AuthServer, first: string) => {
  const issued = new Set([first])
  server.control.shape((body) => {
    for (const name of ["access_token", "refresh_token"]) if (name in body) issued.add(String(body[name]))
    return body
  })
  return issued
}

/** A strict server whose refresh tokens rotate, a vault in a file, and processes that use them one after the other. */
const world = Effect.fnUntraced(function* (environment: Record<string, string> = {}) {
  const server = yield* authServer()
  const first = server.control.issueRefreshToken("client", ["read"])
  const issued = issuedBy(server, first)
  const directory = yield* temporaryDirectory
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    lines.push(`${logLevel} ${Array.isArray(message) ? message.join(" ") : String(message)}`)
  })
  /** One process. */
  const program = Layer.fresh(
    Tokens.layer.pipe(
      Layer.provide([
        secrets({ CLIENT_SECRET: "client-secret", FIRST: first }),
        Leases.layerMemory,
        Budgets.layer,
        ConfigProvider.layer(ConfigProvider.fromEnvRecord({ TRIBUTARY_OAUTH_TIMEOUT: "5 seconds", ...environment }))
      ]),
      Layer.provideMerge(SqliteTokenStore.layer({ directory })),
      Layer.provideMerge(Logger.layer([logger]))
    )
  )
  const stored = Effect.flatMap(TokenStore, (store) => Effect.map(store.load("shop"), Option.getOrUndefined))
  /** While it is held nothing can be written to the vault; it can be read. */
  const lockVault = Effect.acquireRelease(
    Effect.sync(() => {
      const database = new DatabaseSync(join(directory, "vault.db"))
      database.exec("BEGIN IMMEDIATE")
      return database
    }),
    (database) => Effect.sync(() => database.close())
  )
  /** A connector's manager; `change` is what differs in its settings. */
  const manager = (change: Record<string, unknown> = {}) =>
    Effect.flatMap(Tokens, (tokens) =>
      tokens.manager(
        authorization({
          oauth2: "refresh_token",
          token_url: server.tokenUrl,
          refresh_token: "${env:FIRST}",
          ...change
        })
      )
    )
  return { server, issued, lines, program, stored, lockVault, manager }
})

/** Replaces a token in the background, as a connector's request that was answered 401 does. */
const replace = (manager: TokenManager, token: AccessToken) =>
  Effect.forkDetach(Effect.exit(manager.rejected(token)), { startImmediately: true })

/** Starts a request, and the outage of the store once the server has carried it out and its answer is on its way. */
const slowly = <E, R>(
  server: AuthServer,
  issued: number,
  start: Effect.Effect<unknown>,
  outage: Effect.Effect<unknown, E, R>
) =>
  Effect.gen(function* () {
    server.control.faults({ latencyMs: 500 })
    yield* start
    yield* until(() => server.stats.issued === issued)
    server.control.faults({ latencyMs: 0 })
    yield* outage
  })

/** A token, as soon as there is one. */
const eventually = ({ get }: TokenManager) =>
  Effect.retry(get, { while: (error) => error.failureClass === "transient" })

describe("a refresh token that was received while the store could not be written", () => {
  for (const [name, change] of [
    ["the same", {}],
    ["other settings", { scopes: ["read"] }]
  ] as const) {
    it.live(`outlives its connector, and is what the next one goes on with: ${name}`, () =>
      Effect.gen(function* () {
        const { lockVault, manager, program, server, stored } = yield* world()
        yield* Effect.gen(function* () {
          const connector = yield* Scope.make()
          const before = yield* Scope.provide(manager(), connector)
          const token = yield* before.get
          const outage = yield* Scope.make()
          yield* slowly(server, 2, replace(before, token), Scope.provide(lockVault, outage))
          const started = performance.now()
          yield* Scope.close(connector, Exit.void)
          // One attempt to write stands still for a second.
          assert.isBelow(performance.now() - started, unhurried(3000), "a connector that ends waits for nothing")

          const after = yield* manager(change)
          const error = yield* Effect.flip(after.get)
          assert.deepInclude(error, { failureClass: "transient" })
          assert.match(error.message, /vault\.db in \S+ is locked/)
          assert.strictEqual((yield* stored)?.generation, 1)
          yield* Scope.close(outage, Exit.void)

          const renewed = yield* eventually(after)
          assert.isTrue(server.validate(Redacted.value(renewed.value)).active)
          assert.isAtLeast((yield* stored)?.generation ?? 0, 2)
          yield* after.rejected(renewed)
          assert.deepInclude(server.stats, { reuses: 0, refused: 0, maxInFlight: 1 })
        }).pipe(Effect.scoped, Effect.provide(program))
      })
    )
  }

  it.live("and whose request was still under way when its connector ended, is stored", () =>
    Effect.gen(function* () {
      const { manager, program, server, stored } = yield* world()
      yield* Effect.gen(function* () {
        const connector = yield* Scope.make()
        const before = yield* Scope.provide(manager(), connector)
        const token = yield* before.get
        server.control.faults({ latencyMs: 1500 })
        yield* replace(before, token)
        yield* until(() => server.stats.inFlight === 1)
        const started = performance.now()
        yield* Scope.close(connector, Exit.void)
        assert.isBelow(performance.now() - started, unhurried(500), "a connector that ends waits for nothing")
        const after = yield* manager({ scopes: ["read"] })
        yield* after.get
        assert.strictEqual((yield* stored)?.generation, 3)
        assert.deepInclude(server.stats, { issued: 3, reuses: 0, refused: 0, maxInFlight: 1 })
      }).pipe(Effect.scoped, Effect.provide(program))
    })
  )

  /** A process that is told to end once a refresh token was received which cannot be stored. */
  const ending = Effect.fnUntraced(function* (environment: Record<string, string>) {
    const all = yield* world(environment)
    const { lockVault, manager, program, server } = all
    const outage = yield* Scope.make()
    const process = yield* Effect.gen(function* () {
      const connector = yield* manager()
      const token = yield* connector.get
      yield* slowly(server, 2, replace(connector, token), Scope.provide(lockVault, outage))
      return yield* Effect.never
    }).pipe(Effect.scoped, Effect.provide(program), Effect.forkDetach)
    yield* until(() => server.stats.issued === 2 && all.lines.some((line) => line.includes("cannot be stored yet")))
    const ended = yield* Effect.forkChild(Fiber.interrupt(process), { startImmediately: true })
    const free = Scope.close(outage, Exit.void)
    return { ...all, ended, free }
  })

  it.live("is stored by the end of the process if that is possible within the drain deadline", () =>
    Effect.gen(function* () {
      const { ended, free, issued, lines, manager, program, server, stored } = yield* ending({
        TRIBUTARY_DRAIN_DEADLINE: "20 seconds"
      })
      yield* until(() => lines.some((line) => /^Warn .*shop: the end of the process waits up to 16s/.test(line)))
      yield* Effect.sleep("6 seconds")
      assert.isUndefined(ended.pollUnsafe())
      yield* free
      yield* Fiber.join(ended)
      assert.isTrue(lines.some((line) => line.includes("Tokens that waited for the store are stored.")))
      assert.isEmpty(lines.filter((line) => /^(Error|Fatal)/.test(line)))
      for (const token of issued) assert.notInclude(lines.join("\n"), token)
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* stored)?.generation, 2)
        const { get, rejected } = yield* manager()
        yield* rejected(yield* get)
        assert.deepInclude(server.stats, { issued: 3, reuses: 0, refused: 0 })
      }).pipe(Effect.scoped, Effect.provide(program))
    })
  )

  it.live("is given up shortly before the drain deadline, which is an error that names the authorization", () =>
    Effect.gen(function* () {
      const { ended, free, issued, lines, program, stored } = yield* ending({ TRIBUTARY_DRAIN_DEADLINE: "2500 millis" })
      const started = performance.now()
      yield* Fiber.join(ended)
      const took = performance.now() - started
      // 2000 ms, and one attempt to write that stands still for a second.
      assert.isAtLeast(took, 1900)
      assert.isBelow(took, unhurried(4000))
      const errors = lines.filter((line) => line.startsWith("Error"))
      assert.strictEqual(errors.length, 1, lines.join("\n"))
      assert.match(
        errors.join(),
        /Authorization shop: a new refresh token was received and could not be stored .* waited for 2s \(.*vault\.db in \S+ is locked.*\).*get a new first refresh token/
      )
      for (const token of issued) assert.notInclude(lines.join("\n"), token)
      const told = lines.length
      yield* free
      yield* Effect.sleep("1200 millis")
      assert.strictEqual(lines.length, told, "nothing goes on after the end")
      yield* Effect.provide(
        Effect.map(stored, (tokens) => assert.strictEqual(tokens?.generation, 1)),
        program
      )
    })
  )
})

describe("a refresh token that the server does not replace", () => {
  it.live("is lost by no end of the process, and nothing is told", () =>
    Effect.gen(function* () {
      const { lines, lockVault, manager, program, server } = yield* world({ TRIBUTARY_DRAIN_DEADLINE: "1 second" })
      server.control.shape((body) => ({ ...body, refresh_token: undefined }))
      yield* Effect.gen(function* () {
        const connector = yield* manager()
        yield* slowly(server, 1, Effect.forkDetach(Effect.exit(connector.get)), lockVault)
        yield* until(() => lines.some((line) => line.includes("cannot be stored yet")))
      }).pipe(Effect.scoped, Effect.provide(program))
      assert.isEmpty(lines.filter((line) => line.startsWith("Error")))
    })
  )
})
