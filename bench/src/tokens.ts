// What tokens cost one process: the time to get one that is held, beside what the runtime takes for an effect that does nothing; the
// memory of many authorizations; and how evenly their refreshes are spread although all of them began together. Tokens are kept in
// memory, and the authorization server is a function. Exits 1 when a limit is passed.
//   npm run bench:tokens
//   npm run bench:tokens -- --authorizations 10000 --life-s 60 --lives 6
import { OAuth2 } from "@tributary/domain"
import { type TokenManager, Tokens, TokenTransport } from "@tributary/oauth"
import { Environment, Secrets } from "@tributary/secrets"
import { Budgets, Leases, TokenStore } from "@tributary/vault"
import { Clock, Effect, Layer, Logger, Schema } from "effect"
import { randomBytes } from "node:crypto"
import process from "node:process"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: {
    authorizations: { type: "string", default: "10000" },
    "life-s": { type: "string", default: "60" },
    lives: { type: "string", default: "6" },
    gets: { type: "string", default: "1000000" }
  }
})
const count = Number(values.authorizations)
const life = Number(values["life-s"])
const gets = Number(values.gets)

/** Limits: microseconds for a token that is held, MB for all authorizations (100 for 10,000; some is there but once), and the busiest part of a life beside the average one. */
const limits = { microseconds: 2, megabytes: 15 + (85 * count) / 10_000, crowd: 2 }
/** Parts of a life that requests are counted in. */
const parts = 20

const failed: Array<string> = []
const verdict = (isGood: boolean, line: string) => {
  if (!isGood) failed.push(line)
  console.log(`${isGood ? "ok    " : "WRONG "} ${line}`)
}

/** When the server was asked, in seconds. */
const asked: Array<number> = []
const issue = () => ({
  status: 200,
  headers: { "content-type": "application/json" },
  // As long as tokens of large providers are.
  body: JSON.stringify({
    access_token: randomBytes(96).toString("base64url"),
    refresh_token: randomBytes(48).toString("base64url"),
    token_type: "Bearer",
    expires_in: life
  })
})
const server = Layer.succeed(TokenTransport, {
  send: ({ mayBeSent = Effect.succeed(true) }) =>
    Effect.flatMap(mayBeSent, () =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        asked.push(now / 1000)
        return issue()
      })
    )
})
const decode = Schema.decodeUnknownSync(OAuth2)
const authorization = (index: number) => ({
  id: `authorization-${index}`,
  oauth2: decode({
    oauth2: "refresh_token",
    client_id: `client-${index}`,
    client_secret: "${env:SECRET}",
    refresh_token: "${env:FIRST}",
    token_url: "https://id.example/token",
    scopes: ["orders.read", "customers.read"]
  }),
  base: "/"
})

const layer = Tokens.layerNoDeps.pipe(
  Layer.provide([
    server,
    TokenStore.layerMemory,
    Leases.layerMemory,
    Budgets.layer,
    Secrets.layer.pipe(Layer.provide(Layer.succeed(Environment, { SECRET: "secret", FIRST: "first" })))
  ]),
  Layer.provide(Logger.layer([]))
)

const megabytes = () => {
  globalThis.gc?.()
  globalThis.gc?.()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return (heapUsed + arrayBuffers) / 1_000_000
}

/** Microseconds for one of many in a row, inside of one fiber, as a connector has it. */
const timed = Effect.fnUntraced(function* (effect: Effect.Effect<unknown, unknown>) {
  let best = Infinity
  for (let round = 0; round < 5; round++) {
    const began = performance.now()
    for (let turn = 0; turn < gets / 5; turn++) yield* effect
    best = Math.min(best, ((performance.now() - began) * 1000) / (gets / 5))
  }
  return best
})

const histogram = (times: ReadonlyArray<number>, from: number): ReadonlyArray<number> => {
  const bins = Array.from({ length: parts }, () => 0)
  for (const time of times) {
    const part = Math.floor(((time - from) / life) * parts)
    if (part >= 0 && part < parts) bins[part] = (bins[part] ?? 0) + 1
  }
  return bins
}
const crowdOf = (bins: ReadonlyArray<number>) => (Math.max(...bins) * parts) / bins.reduce((sum, bin) => sum + bin, 0)

const program = Effect.gen(function* () {
  const tokens = yield* Tokens
  const held: TokenManager = yield* tokens.manager(authorization(0))
  yield* held.get
  const nothing = yield* timed(Effect.succeed(0))
  const clock = yield* timed(Clock.currentTimeMillis)
  const cost = yield* timed(held.get)
  verdict(
    cost < limits.microseconds,
    `a token that is held costs ${cost.toFixed(2)} µs (limit ${limits.microseconds}): ${(cost / nothing).toFixed(1)} times an effect that does nothing, ${(cost / clock).toFixed(1)} times a look at the clock`
  )

  const before = megabytes()
  const began = (yield* Clock.currentTimeMillis) / 1000
  asked.length = 0
  const managers = yield* Effect.forEach(
    Array.from({ length: count }, (_, index) => index + 1),
    (index) => Effect.tap(tokens.manager(authorization(index)), (manager) => manager.get),
    { concurrency: 64 }
  )
  const started = (yield* Clock.currentTimeMillis) / 1000 - began
  const used = megabytes() - before
  verdict(
    used < limits.megabytes,
    `${count} authorizations take ${used.toFixed(1)} MB with their tokens in memory (limit ${limits.megabytes}): ${((used * 1000) / count).toFixed(1)} kB each`
  )
  console.log(`       all of them got their first token within ${started.toFixed(1)} s`)

  // A token is replaced because somebody uses it.
  yield* Effect.forEach(managers, (manager) => manager.get, { discard: true }).pipe(
    Effect.andThen(Effect.sleep((life / 60) * 1000)),
    Effect.forever,
    Effect.forkScoped
  )
  const lives = Number(values.lives)
  const cpu = process.cpuUsage()
  yield* Effect.sleep(Math.max(0, (lives + 1) * life - started) * 1000)
  const { system, user } = process.cpuUsage(cpu)
  const refreshes = asked.length - count
  console.log(
    `       ${refreshes} refreshes in ${(lives * life).toFixed(0)} s, ${((user + system) / 1000 / refreshes).toFixed(2)} ms of CPU each`
  )
  for (let index = 0; index <= lives; index++) {
    const bins = histogram(asked, began + index * life)
    console.log(
      `       life ${String(index).padStart(2)}: busiest part ${crowdOf(bins).toFixed(2)} times the average  ${bins.map((bin) => String(bin).padStart(5)).join("")}`
    )
  }
  const last = histogram(asked, began + lives * life)
  verdict(
    crowdOf(last) < limits.crowd,
    `after ${lives} lives the busiest ${100 / parts} % of a life has ${crowdOf(last).toFixed(2)} times the requests of the average one (limit ${limits.crowd})`
  )
  const most = Math.max(...last)
  for (const [part, requests] of last.entries()) {
    console.log(
      `       ${String((part * 100) / parts).padStart(3)} %  ${"#".repeat(Math.round((60 * requests) / most))} ${requests}`
    )
  }
})

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(layer)))
if (failed.length > 0) process.exitCode = 1
