import { assert, describe, it } from "@effect/vitest"
import { Tokens, tokenFailures, tokenRejections, tokenRequests } from "@tributary/oauth"
import { Alerts, type AuditEvent, AuditTrail, Status } from "@tributary/telemetry"
import { Budgets, Leases, TokenStore } from "@tributary/vault"
import { ConfigProvider, Effect, Layer, Metric } from "effect"
import { authorization, authServer, secrets } from "./support.ts"

/** Everything that is told of tokens, with what was written kept in memory. */
const watched = (
  settings: Record<string, string> = {},
  environment: Record<string, string> = { CLIENT_SECRET: "client-secret" }
) => {
  const events: Array<Omit<AuditEvent, "at" | "process">> = []
  const trail = Layer.succeed(AuditTrail, {
    record: (event) => Effect.sync(() => void events.push(event)),
    read: () => Effect.succeed([])
  })
  const layer = Tokens.layer.pipe(
    Layer.provide(trail),
    Layer.provideMerge(Alerts.layer.pipe(Layer.provide(Status.layer))),
    Layer.provide([secrets(environment), Leases.layerMemory, Budgets.layer]),
    Layer.provideMerge(TokenStore.layerMemory),
    Layer.provide(
      ConfigProvider.layer(ConfigProvider.fromEnvRecord({ TRIBUTARY_OAUTH_TIMEOUT: "1 second", ...settings }))
    )
  )
  return { events, layer }
}

const count = (metric: typeof tokenRequests, attributes: Record<string, string>) =>
  Effect.map(Metric.value(Metric.withAttributes(metric, attributes)), ({ count }) => count)

describe("what is told of tokens", () => {
  it.live("the trail names who obtained, refreshed and recovered which, never the token", () =>
    Effect.gen(function* () {
      const server = yield* authServer({ graceMs: 60_000 })
      const first = server.control.issueRefreshToken()
      const { events, layer } = watched({}, { CLIENT_SECRET: "client-secret", FIRST: first })
      yield* Effect.gen(function* () {
        const manager = yield* (yield* Tokens).manager(
          authorization({ oauth2: "refresh_token", refresh_token: "${env:FIRST}", token_url: server.tokenUrl }, "told"),
          "orders"
        )
        yield* manager.rejected(yield* manager.get)
        server.control.next("drop")
        yield* manager.rejected(yield* manager.get)
      }).pipe(Effect.scoped, Effect.provide(layer))
      assert.deepStrictEqual(
        events.map(({ what }) => what),
        ["obtained", "refreshed", "recovered"]
      )
      for (const event of events) {
        assert.strictEqual(event.authorization, "told")
        assert.deepStrictEqual(event.connectors, ["orders"])
        assert.notMatch(JSON.stringify(event), /at-|rt-/)
      }
      assert.strictEqual(yield* count(tokenRejections, { authorization: "told" }), 2)
      assert.strictEqual(yield* count(tokenRequests, { authorization: "told", outcome: "granted" }), 3)
    })
  )

  it.live("a row of failures is one event and, when it is long enough, one alert, which ends with the next token", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      const { events, layer } = watched({ TRIBUTARY_ALERT_AFTER: "2" })
      yield* Effect.gen(function* () {
        const alerts = yield* Alerts
        const use = Effect.flatMap(Tokens, (tokens) =>
          tokens.manager(authorization({ token_url: server.tokenUrl }, "failing"))
        ).pipe(
          Effect.flatMap((manager) => manager.get),
          Effect.scoped
        )
        server.control.faults({ rates: { "internal-error": 1 } })
        yield* Effect.flip(use)
        assert.deepStrictEqual(yield* alerts.active, [])
        yield* Effect.flip(use)
        const [alert] = yield* alerts.active
        assert.strictEqual(alert?.kind, "failing")
        assert.match(
          alert?.message ?? "",
          /^2 attempts to get a token failed in a row\. The last: Authorization failing/
        )
        server.control.faults({ rates: {} })
        yield* use
        assert.deepStrictEqual(yield* alerts.active, [])
      }).pipe(Effect.provide(layer))
      assert.deepStrictEqual(
        events.map(({ outcome, what }) => [what, outcome]),
        [
          ["failed", "transient"],
          ["obtained", "ok"]
        ]
      )
      assert.strictEqual(yield* count(tokenFailures, { authorization: "failing", class: "transient" }), 2)
    })
  )

  it.live("a consent that is gone is told at once", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      const first = server.control.issueRefreshToken()
      const { events, layer } = watched({}, { CLIENT_SECRET: "client-secret", FIRST: first })
      yield* Effect.gen(function* () {
        const manager = yield* (yield* Tokens).manager(
          authorization({ oauth2: "refresh_token", refresh_token: "${env:FIRST}", token_url: server.tokenUrl }, "gone")
        )
        server.control.revokeFamilies()
        yield* Effect.flip(manager.get)
        const active = yield* (yield* Alerts).active
        assert.deepStrictEqual(
          active.map(({ authorization, connectors, kind }) => [kind, authorization, connectors]),
          [["needs-consent", "gone", ["gone"]]]
        )
      }).pipe(Effect.scoped, Effect.provide(layer))
      assert.deepStrictEqual(
        events.map(({ what }) => what),
        ["needs-consent"]
      )
    })
  )

  it.live("a refresh token that ends within the time set is told, and over when its end is farther away", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      const first = server.control.issueRefreshToken()
      const { layer } = watched(
        { TRIBUTARY_RECONNECT_WARNING: "30 days" },
        { CLIENT_SECRET: "client-secret", FIRST: first }
      )
      yield* Effect.gen(function* () {
        const ending = (days: number) => ({
          ...authorization(
            { oauth2: "refresh_token", refresh_token: "${env:FIRST}", token_url: server.tokenUrl },
            "ending"
          ),
          lifecycle: { absolute_life: days * 86_400 }
        })
        const tokens = yield* Tokens
        const use = (days: number) =>
          Effect.flatMap(tokens.manager(ending(days)), (manager) => manager.get).pipe(Effect.scoped)
        yield* use(20)
        const [alert] = yield* (yield* Alerts).active
        assert.strictEqual(alert?.kind, "reconnect")
        assert.match(
          alert?.message ?? "",
          /^Authorization ending: its refresh token ends in (?:19|20) days \(\d{4}-\d\d-\d\d\)/
        )
        yield* use(40)
        assert.deepStrictEqual(yield* (yield* Alerts).active, [])
      }).pipe(Effect.provide(layer))
    })
  )

  it.live("more authorizations than the bound share one series", () =>
    Effect.gen(function* () {
      const server = yield* authServer()
      const { layer } = watched({ TRIBUTARY_METRICS_VALUES: "1" })
      yield* Effect.gen(function* () {
        const tokens = yield* Tokens
        for (const id of ["bounded-1", "bounded-2", "bounded-3"]) {
          yield* (yield* tokens.manager(authorization({ token_url: server.tokenUrl }, id))).get
        }
      }).pipe(Effect.scoped, Effect.provide(layer))
      assert.strictEqual(yield* count(tokenRequests, { authorization: "bounded-1", outcome: "granted" }), 1)
      assert.strictEqual(yield* count(tokenRequests, { authorization: "bounded-2", outcome: "granted" }), 0)
      assert.isAtLeast(yield* count(tokenRequests, { authorization: "(other)", outcome: "granted" }), 2)
    })
  )
})
