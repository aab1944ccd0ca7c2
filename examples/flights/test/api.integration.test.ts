import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { spawn } from "node:child_process"
import { once } from "node:events"
import process from "node:process"
import { createInterface } from "node:readline"
import type { ApiSettings } from "../api/settings.ts"
import { type Answer, get, items, member, start, token, tokenAnswer } from "./support.ts"

/** An API for one test, and a token for it. */
const api = (settings: Partial<ApiSettings> = {}) =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(
      Effect.promise(() => start(settings)),
      (server) => Effect.promise(server.close)
    )
    const bearer = yield* Effect.promise(() => token(server.issuer))
    const ask = (path: string) => Effect.promise(() => get(server.url + path, bearer))
    return { ...server, bearer, ask }
  })

type Ask = Effect.Success<ReturnType<typeof api>>["ask"]

/** All flights of a walk through the pages that begins with `path`. */
const walk = Effect.fnUntraced(function* (ask: Ask, path: string) {
  const flights: Array<unknown> = []
  let pages = 0
  for (let next: unknown = path; typeof next === "string"; pages++) {
    const { body, status } = yield* ask(next)
    assert.strictEqual(status, 200)
    flights.push(...items(body, "data"))
    const cursor = member(body, "next")
    next = typeof cursor === "string" ? `${path}${path.includes("?") ? "&" : "?"}cursor=${cursor}` : undefined
  }
  return { flights, pages }
})

const ids = (flights: ReadonlyArray<unknown>) => flights.map((flight) => String(member(flight, "id")))
const times = (flights: ReadonlyArray<unknown>) => flights.map((flight) => String(member(flight, "updated_at")))

describe("flights API", () => {
  it.live("gives all of January in order, each flight once", () =>
    Effect.gen(function* () {
      const { ask } = yield* api({ pageSize: 1000 })
      const { flights, pages } = yield* walk(ask, "/v1/flights")
      assert.strictEqual(flights.length, 27_004)
      assert.strictEqual(pages, 28)
      assert.strictEqual(new Set(ids(flights)).size, 27_004)
      const order = flights.map((flight) => `${String(member(flight, "updated_at"))} ${String(member(flight, "id"))}`)
      assert.deepStrictEqual(order, [...order].sort())
    })
  )
  it.live("includes the flights updated at the time asked from, and pages a walk from there", () =>
    Effect.gen(function* () {
      const { ask } = yield* api()
      const { flights } = yield* walk(ask, "/v1/flights?updated_since=2013-01-31T12:00:00Z&limit=1000")
      assert.isAbove(flights.length, 500)
      const first = times(flights)[0]!
      const again = yield* walk(ask, `/v1/flights?updated_since=${first}&limit=7`)
      assert.deepStrictEqual(ids(again.flights), ids(flights))
      // The same moment with another offset, and with a fraction.
      const elsewhere = yield* ask(`/v1/flights?limit=3&updated_since=${first.replace("Z", "%2B00:00")}`)
      assert.deepStrictEqual(ids(items(elsewhere.body, "data")), ids(flights).slice(0, 3))
      const last = times(flights).at(-1)!
      const end = yield* walk(ask, `/v1/flights?updated_since=${last}`)
      assert.isAbove(end.flights.length, 0)
      assert.isTrue(times(end.flights).every((time) => time === last))
      const after = yield* walk(ask, "/v1/flights?updated_since=2013-03-01T00:00:00Z")
      assert.deepStrictEqual(after.flights, [])
    })
  )
  it.live("nests what belongs together", () =>
    Effect.gen(function* () {
      const { ask } = yield* api()
      const { flights } = yield* walk(ask, "/v1/flights?updated_since=2013-02-02T00:00:00Z")
      const { body } = yield* ask("/v1/flights?limit=200")
      const flight = items(body, "data").find((item) => member(item, "id") === "2013-01-01-EV-5708-LGA-0600")
      assert.deepStrictEqual(flight, {
        id: "2013-01-01-EV-5708-LGA-0600",
        carrier: "EV",
        number: 5708,
        departure: {
          airport: "LGA",
          date: "2013-01-01",
          scheduled: 600,
          actual: 557,
          delay: -3,
          hour_utc: "2013-01-01T11:00:00Z"
        },
        arrival: { airport: "IAD", scheduled: 723, actual: 709, delay: -14 },
        aircraft: { tail_number: "N829AS" },
        air_time: 53,
        distance: 229,
        updated_at: "2013-01-01T12:05:00Z"
      })
      assert.deepStrictEqual(flights, [])
    })
  )
  it.live("shows history first, and the rest as time passes to who asks from the last time seen", () =>
    Effect.gen(function* () {
      const still = yield* api({ once: false, speed: 0, pageSize: 1000 })
      const history = times((yield* walk(still.ask, "/v1/flights")).flights)
      assert.isBelow(history.length, 27_004)
      const { ask } = yield* api({ pageSize: 1000 })
      const all = times((yield* walk(ask, "/v1/flights")).flights)
      assert.strictEqual(history.length, all.filter((time) => time <= "2013-01-26T05:00:00Z").length)

      // Ten days a second, in pages so small that flights appear while a walk is on its way.
      const live = yield* api({ once: false, speed: 864_000, historyDays: 30, pageSize: 20 })
      const seen = new Set<string>()
      let since = "2013-01-30T12:00:00Z"
      const walks: Array<number> = []
      const poll = Effect.gen(function* () {
        const { flights } = yield* walk(live.ask, `/v1/flights?updated_since=${since}`)
        for (const id of ids(flights)) seen.add(id)
        walks.push(flights.length)
        since = times(flights).at(-1) ?? since
      })
      const expected = all.filter((time) => time >= since).length
      yield* poll.pipe(Effect.repeat({ until: () => seen.size >= expected, times: 1000 }))
      assert.strictEqual(seen.size, expected)
      assert.isAbove(walks.length, 1)
    })
  )
  it.live("pages the other streams each in its own way", () =>
    Effect.gen(function* () {
      const { ask, url } = yield* api()
      const weather: Array<unknown> = []
      for (let page = 1; page <= 5; page++)
        weather.push(...items((yield* ask(`/v1/weather?page=${page}`)).body, "weather"))
      assert.strictEqual(weather.length, 2226)
      assert.strictEqual(
        new Set(weather.map((row) => `${String(member(row, "airport"))} ${String(member(row, "time"))}`)).size,
        2226
      )
      assert.deepStrictEqual(items((yield* ask("/v1/weather?page=6")).body, "weather"), [])

      assert.strictEqual(items((yield* ask("/v1/airlines")).body).length, 16)

      const planes: Array<unknown> = []
      for (let offset = 0; offset < 3500; offset += 500)
        planes.push(...items((yield* ask(`/v1/planes?offset=${offset}&limit=500`)).body, "planes"))
      assert.strictEqual(new Set(planes.map((plane) => member(plane, "tail_number"))).size, 3322)

      const airports: Array<unknown> = []
      let link: string | undefined = "/v1/airports"
      while (link !== undefined) {
        const { body, headers }: Answer = yield* ask(link)
        airports.push(...items(body))
        link = /<([^>]+)>; rel="next"/u.exec(headers.get("link") ?? "")?.[1]?.slice(url.length)
      }
      assert.strictEqual(new Set(airports.map((airport) => member(airport, "code"))).size, 1458)
    })
  )
  it.live("answers what is wrong with 400, 404 and 405", () =>
    Effect.gen(function* () {
      const { ask, stats } = yield* api()
      const wrong = [
        "limit=0",
        "limit=1001",
        "limit=x",
        "updated_since=yesterday",
        "cursor=x",
        `cursor=${btoa("9-99999")}`,
        `cursor=${btoa("9-8")}`
      ]
      for (const query of wrong) {
        const { body, status } = yield* ask(`/v1/flights?${query}`)
        assert.strictEqual(status, 400, query)
        assert.include(String(member(body, "error")), `Parameter ${query.split("=")[0]}`)
      }
      assert.strictEqual((yield* ask("/v1/trains")).status, 404)
      assert.strictEqual(stats().bad_requests, wrong.length + 1)
    })
  )
})

describe("authorization", () => {
  it.live("describes itself for discovery, by OpenID Connect and by RFC 8414", () =>
    Effect.gen(function* () {
      const { issuer, url } = yield* api()
      for (const address of [
        `${issuer}/.well-known/openid-configuration`,
        `${url}/.well-known/oauth-authorization-server/oidc`
      ]) {
        const { body } = yield* Effect.promise(() => get(address))
        assert.strictEqual(member(body, "issuer"), issuer)
        assert.strictEqual(member(body, "token_endpoint"), `${issuer}/token`)
      }
    })
  )
  it.live("wants a token of the right scope from its own authorization server", () =>
    Effect.gen(function* () {
      const { bearer, issuer, stats, url } = yield* api()
      const ask = (path: string, bearer?: string) => Effect.promise(() => get(url + path, bearer))
      assert.strictEqual((yield* ask("/v1/airlines", bearer)).status, 200)
      const none = yield* ask("/v1/airlines")
      assert.strictEqual(none.status, 401)
      assert.strictEqual(none.headers.get("www-authenticate"), 'Bearer realm="flights"')
      const unknown = yield* ask("/v1/airlines", "unknown")
      assert.strictEqual(unknown.status, 401)
      assert.include(unknown.headers.get("www-authenticate") ?? "", 'error="invalid_token"')
      const unscoped = yield* Effect.promise(() => tokenAnswer(issuer))
      const narrow = yield* ask("/v1/airlines", String(member(unscoped.body, "access_token")))
      assert.strictEqual(narrow.status, 403)
      assert.include(narrow.headers.get("www-authenticate") ?? "", 'error="insufficient_scope", scope="flights.read"')
      const refused = yield* Effect.promise(() => tokenAnswer(issuer, "flights.read", "another secret"))
      assert.strictEqual(refused.status, 401)
      assert.strictEqual(member(refused.body, "error"), "invalid_client")
      const { body } = yield* ask("/stats")
      assert.deepStrictEqual(body, JSON.parse(JSON.stringify(stats())))
      assert.deepInclude(stats(), {
        requests: 4,
        token_requests: 3,
        tokens_issued: 2,
        unauthorized: 2,
        forbidden: 1,
        pages: { "/v1/airlines": 1 }
      })
    })
  )
  it.live("refuses a token whose life is over", () =>
    Effect.gen(function* () {
      const { ask, stats } = yield* api({ tokenLife: 1 })
      assert.strictEqual((yield* ask("/v1/airlines")).status, 200)
      const expired = ask("/v1/airlines").pipe(
        Effect.filterOrFail(
          ({ status }) => status === 401,
          () => "still valid"
        ),
        Effect.retry({ times: 40, schedule: Schedule.spaced("100 millis") })
      )
      assert.include((yield* expired).headers.get("www-authenticate") ?? "", 'error="invalid_token"')
      assert.strictEqual(stats().unauthorized, 1)
    })
  )
})

describe("faults", () => {
  it.live("says 429 and when to come back beyond the rate", () =>
    Effect.gen(function* () {
      const { ask, stats } = yield* api({ rateLimit: 5 })
      const answers = yield* Effect.all(
        Array.from({ length: 40 }, () => ask("/v1/airlines")),
        { concurrency: 40 }
      )
      const throttled = answers.filter(({ status }) => status === 429)
      // A busy machine needs more than a second for all of them.
      assert.isAtLeast(throttled.length, 1)
      assert.strictEqual(throttled[0]?.headers.get("retry-after"), "1")
      assert.strictEqual(stats().throttled, throttled.length)
      yield* Effect.sleep("1 second")
      assert.strictEqual((yield* ask("/v1/airlines")).status, 200)
    })
  )
  it.live("fails and cuts connections at the rates asked for, the same ones for the same seed", () =>
    Effect.gen(function* () {
      const kinds = Effect.fnUntraced(function* (seed: number) {
        const { bearer, stats, url } = yield* api({ errorRate: 0.2, dropRate: 0.2, seed })
        const kinds: Array<string> = []
        for (let i = 0; i < 200; i++) {
          const kind = yield* Effect.tryPromise(() => get(`${url}/v1/flights?limit=50`, bearer)).pipe(
            Effect.map(({ status }) => String(status)),
            Effect.orElseSucceed(() => "cut")
          )
          kinds.push(kind)
        }
        const count = (kind: string) => kinds.filter((one) => one === kind).length
        assert.strictEqual(count("500"), stats().errors)
        assert.strictEqual(count("cut"), stats().cut)
        assert.strictEqual(count("200"), stats().pages["/v1/flights"])
        assert.isTrue(count("500") > 20 && count("500") < 60 && count("cut") > 20 && count("cut") < 60)
        return kinds
      })
      const first = yield* kinds(7)
      assert.deepStrictEqual(yield* kinds(7), first)
      assert.notDeepEqual(yield* kinds(8), first)
    })
  )
  it.live("fails token requests at the rate asked for", () =>
    Effect.gen(function* () {
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => start({ tokenErrorRate: 1 })),
        (server) => Effect.promise(server.close)
      )
      assert.strictEqual((yield* Effect.promise(() => tokenAnswer(server.issuer, "flights.read"))).status, 500)
      assert.deepInclude(server.stats(), { token_requests: 1, token_errors: 1, tokens_issued: 0 })
    })
  )
})

describe("process", () => {
  const run = (...args: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(process.execPath, [new URL("../api/main.ts", import.meta.url).pathname, ...args], {
            stdio: ["pipe", "pipe", "pipe"],
            env: { ...process.env, FLIGHTS_CLIENT_SECRET: "s" }
          })
        ),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      const exit = once(child, "exit")
      const [line] = yield* Effect.promise(() =>
        Promise.race([once(createInterface({ input: child.stdout }), "line"), exit])
      )
      return { child, exit: Effect.promise(() => exit), line: String(line) }
    })
  it.live("says where it listens, and ends when its starter closes its input", () =>
    Effect.gen(function* () {
      const { child, exit, line } = yield* run("--once")
      const ready: unknown = JSON.parse(line)
      const { status } = yield* Effect.promise(() => get(`${String(member(ready, "url"))}/stats`))
      assert.strictEqual(status, 200)
      child.stdin.end()
      assert.deepStrictEqual((yield* exit)[0], 0)
    })
  )
  it.live("ends on SIGTERM", () =>
    Effect.gen(function* () {
      const { child, exit } = yield* run("--speed", "0")
      child.kill("SIGTERM")
      assert.deepStrictEqual((yield* exit)[0], 0)
    })
  )
  it.live("names a setting that is wrong", () =>
    Effect.gen(function* () {
      const { exit } = yield* run("--token-life", "never")
      assert.deepStrictEqual((yield* exit)[0], 2)
    })
  )
})
