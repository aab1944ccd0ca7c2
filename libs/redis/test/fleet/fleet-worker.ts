import { OAuth2 } from "@tributary/domain"
import { type TokenManager, Tokens } from "@tributary/oauth"
import { Redis, RedisBudgets, RedisLeases, RedisTokenStore } from "@tributary/redis"
import { Environment, Secrets } from "@tributary/secrets"
import { Leases, TokenStore } from "@tributary/vault"
import { Clock, ConfigProvider, Effect, Layer, Logger, Redacted, Schema } from "effect"
import { createHash } from "node:crypto"
import process from "node:process"
import { request } from "undici"
import { grace, requestTime, type WorkerOptions, type WorkerReport } from "./options.ts"

/** One process of the fleet: its share of the connectors, each of which uses the token of its authorization all the time. */
const received = await new Promise<unknown>((resolve) => void process.once("message", resolve))
// The fleet's own processes talk in its own types; nothing comes from elsewhere.
const isOptions = (value: unknown): value is WorkerOptions =>
  typeof value === "object" && value !== null && "fleet" in value && "index" in value
if (!isOptions(received)) throw new Error("The fleet's process was told nothing.")
const options = received
const { fleet } = options
process.once("disconnect", () => process.exit(1))

let report: {
  tokens: Array<readonly [number, number, string]>
  failures: Record<string, { count: number; message: string }>
  gets: number
  calls: number
  refused: number
  longestWait: number
}
const clear = () => {
  report = { tokens: [], failures: {}, gets: 0, calls: 0, refused: 0, longestWait: 0 }
}
clear()
const known = new Map<number, number>()

const decode = Schema.decodeUnknownSync(OAuth2)
const authorizationOf = (index: number) =>
  ({
    id: `authorization-${index}`,
    oauth2: decode({
      oauth2: "refresh_token",
      client_id: "client",
      client_secret: "${env:CLIENT_SECRET}",
      token_url: options.tokenUrl,
      refresh_token: `\${env:FIRST_${index}}`
    }),
    base: "/",
    lifecycle: { rotation: "always", grace: grace / 1000, reuse: "revokes_family" }
  }) as const
const authorizations = Array.from({ length: fleet.authorizations }, (_, index) => authorizationOf(index))

const call = (token: string) =>
  Effect.promise(async () => {
    const { body, statusCode } = await request(options.apiUrl, { headers: { authorization: `Bearer ${token}` } })
    await body.dump()
    return statusCode
  }).pipe(Effect.catchDefect(() => Effect.succeed(0)))

const pause = Math.min(250, Math.max(25, fleet.life / 16))

const connect = (index: number, tokens: Tokens["Service"]) =>
  Effect.gen(function* () {
    const authorization = Math.floor((index * fleet.authorizations) / fleet.connectors)
    const mine = authorizations[authorization] ?? authorizationOf(authorization)
    const manager: TokenManager = yield* Effect.retry(tokens.manager(mine), { times: 100 })
    // Not all in step, as connectors are not.
    yield* Effect.sleep((pause * (index % 97)) / 97)
    for (let turn = index; ; turn++) {
      const began = yield* Clock.currentTimeMillis
      const token = yield* Effect.match(manager.get, {
        onSuccess: (token) => token,
        onFailure: (error) => {
          const known = (report.failures[error.failureClass] ??= { count: 0, message: error.message })
          known.count++
          return undefined
        }
      })
      const ended = yield* Clock.currentTimeMillis
      report.gets++
      report.longestWait = Math.max(report.longestWait, ended - began)
      if (token !== undefined) {
        const value = Redacted.value(token.value)
        if ((known.get(authorization) ?? 0) < token.generation) {
          known.set(authorization, token.generation)
          const print = createHash("sha256").update(value).digest("base64url").slice(0, 12)
          report.tokens.push([authorization, token.generation, print])
        }
        if (turn % 40 === 0) {
          const status = yield* call(value)
          if (status !== 0) report.calls++
          if (status === 401) report.refused++
        }
      }
      yield* Effect.sleep(pause)
    }
  }).pipe(Effect.scoped)

/** Leases that keep nobody out. */
const noLeases = Layer.succeed(Leases, {
  acquire: (key) =>
    Effect.succeed({
      key,
      owner: "",
      epoch: 1,
      isInherited: false,
      lost: Effect.never,
      check: Effect.void,
      left: Effect.succeed(3_600_000)
    })
})

/** A store that writes no intents, and in which whoever saves last wins. */
const forgetful = Layer.effect(
  TokenStore,
  Effect.map(TokenStore, (store) =>
    TokenStore.of({
      ...store,
      note: () => Effect.void,
      save: (id, _expected, tokens) =>
        Effect.flatMap(store.read(id), (held) => store.save(id, held.tokens?.generation ?? 0, tokens)).pipe(
          Effect.retry({ times: 50, while: (error) => error._tag === "Conflict" })
        )
    })
  )
).pipe(Layer.provide(RedisTokenStore.layer))

const { without } = fleet
const isLoose = without === "journal" || without === "flight"
const stores = Layer.mergeAll(
  isLoose || without === "lease" ? noLeases : RedisLeases.layer,
  isLoose ? forgetful : RedisTokenStore.layer,
  RedisBudgets.layer
)
const environment = Layer.succeed(Environment, {
  CLIENT_SECRET: "client-secret",
  ...Object.fromEntries(options.first.map((token, index) => [`FIRST_${index}`, token]))
})
const settings = ConfigProvider.layer(
  ConfigProvider.fromEnvRecord({
    TRIBUTARY_VAULT_KEY: options.vaultKey,
    TRIBUTARY_OAUTH_TIMEOUT: `${requestTime} millis`,
    ...(without === "budget" ? {} : { TRIBUTARY_OAUTH_RATE: `${fleet.budget} per 1 second` })
  })
)
const dependencies = Layer.merge(stores, Secrets.layer).pipe(
  Layer.provide([Redis.layer({ url: options.redisUrl, prefix: options.prefix, timeout: "2 seconds" }), environment])
)

const telling = Effect.gen(function* () {
  for (;;) {
    yield* Effect.sleep(250)
    const said: WorkerReport = report
    clear()
    process.send?.(said)
  }
})

const mine = Array.from({ length: fleet.connectors }, (_, index) => index).filter(
  (index) => index % fleet.processes === options.index
)
const run =
  without === "flight"
    ? Effect.forEach(
        mine,
        (index) =>
          Effect.flatMap(Tokens, (tokens) => connect(index, tokens)).pipe(
            Effect.provide(Layer.fresh(Tokens.layer), { local: true })
          ),
        { concurrency: "unbounded", discard: true }
      )
    : Effect.flatMap(Tokens, (tokens) =>
        Effect.forEach(mine, (index) => connect(index, tokens), { concurrency: "unbounded", discard: true })
      ).pipe(Effect.provide(Tokens.layer))

await Effect.runPromise(
  Effect.raceFirst(run, telling).pipe(
    Effect.provide(dependencies.pipe(Layer.provideMerge(settings), Layer.merge(Logger.layer([]))))
  )
)
