import { assert, it } from "@effect/vitest"
import { makeConsent, revokeGrant, Tokens, TokenTransport } from "@tributary/oauth"
import { testHttp } from "@tributary/secrets/testing"
import { Visitor } from "@tributary/testkit/visitor"
import { TokenStore } from "@tributary/vault"
import { Cause, Duration, Effect, Exit, Layer, Redacted, References } from "effect"
import { FetchHttpClient } from "effect/http"
import { Otlp } from "effect/observability"
import { inspect } from "node:util"
import { asked, authOf, consentServer, environmentOf, live } from "./consentSupport.ts"

it.live(
  "no code, verifier, device code, token or secret of a consent is in errors, or in logs, metrics and traces as they are exported",
  () =>
    Effect.gen(function* () {
      const canaries = new Set<string>()
      const server = yield* consentServer()
      const environment = environmentOf(server)
      canaries.add(environment.WEB_SECRET).add(environment.OTHER_SECRET)
      server.control.shape((body) => {
        for (const name of ["access_token", "refresh_token", "id_token"])
          if (name in body) canaries.add(String(body[name]))
        return body
      })
      const collector = yield* testHttp(() => ({ status: 200, body: {} }))
      const output: Array<string> = []
      const put = (what: unknown) => {
        output.push(String(what), inspect(what, { depth: 20, showHidden: true }), JSON.stringify(what) ?? "")
      }
      const tried = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        effect.pipe(
          Effect.tapCause((cause) => Effect.logError("It failed.", cause)),
          Effect.exit,
          Effect.tap((exit) =>
            Effect.sync(() => {
              put(exit)
              if (Exit.isFailure(exit)) output.push(Cause.pretty(exit.cause))
            })
          )
        )

      /** A server that answers with what it was sent, and one that cannot be spoken to at all. */
      const odd = (kind: "echoing" | "defective") =>
        Effect.map(TokenTransport, (transport) =>
          TokenTransport.of({
            send: (request) => {
              const { body = "", headers } = Redacted.value(request.contents)
              if (request.method === "GET") return transport.send(request)
              if (kind === "defective") return Effect.die(new Error(`cannot send ${body} ${headers["authorization"]}`))
              const said = `you sent ${body} ${decodeURIComponent(body)} ${headers["authorization"]} ${[...new URLSearchParams(body).values()].join(" ")}`
              return Effect.succeed({
                status: 400,
                headers: { "content-type": "application/json" },
                body: JSON.stringify({ error: "invalid_grant", error_description: said })
              })
            }
          })
        )

      const flow = Effect.gen(function* () {
        const auth = authOf(server)
        const consent = yield* makeConsent(auth)
        const begun = Effect.tap(asked(consent), ({ away, pending }) =>
          Effect.sync(() => {
            put(pending)
            canaries.add(away.searchParams.get("code") ?? "").add(Redacted.value(pending.verifier))
          })
        )
        const { away, pending } = yield* begun
        yield* tried(consent.finish(pending, away.searchParams))
        yield* tried(consent.finish(pending, away.searchParams))
        yield* tried(
          Effect.flatMap(asked(consent, { allow: [] }), (it) => consent.finish(it.pending, it.away.searchParams))
        )
        for (const kind of ["echoing", "defective"] as const) {
          const broken = yield* Effect.provideServiceEffect(makeConsent(auth), TokenTransport, odd(kind))
          const again = yield* begun
          yield* tried(broken.finish(again.pending, again.away.searchParams))
          yield* tried(broken.finishWithCode(again.pending, Redacted.make(again.away.searchParams.get("code") ?? "")))
          canaries.add(`pasted-canary-${kind}`)
          yield* tried(broken.adopt(Redacted.make(`pasted-canary-${kind}`)))
          yield* tried(broken.beginDevice)
          yield* tried(
            broken.awaitDevice({
              userCode: "shown",
              verificationUri: "https://id.example/device",
              verificationUriComplete: undefined,
              expiresAt: Infinity,
              interval: Duration.millis(1),
              deviceCode: Redacted.make(`device-canary-${kind}`)
            })
          )
          canaries.add(`device-canary-${kind}`)
          yield* tried(Effect.provideServiceEffect(revokeGrant(auth), TokenTransport, odd(kind)))
        }
        const device = yield* makeConsent(authOf(server, "app", { oauth2: "device_code" }))
        const prompt = yield* device.beginDevice
        put(prompt)
        canaries.add(Redacted.value(prompt.deviceCode))
        yield* Effect.promise(() => new Visitor().enter(prompt.verificationUri, prompt.userCode))
        yield* tried(device.awaitDevice({ ...prompt, interval: Duration.millis(200) }))
        const used = yield* tried(
          Effect.gen(function* () {
            const manager = yield* (yield* Tokens).manager(authOf(server, "app", { oauth2: "device_code" }))
            const token = yield* manager.get
            yield* manager.rejected(token)
            put(yield* manager.get)
            put(yield* TokenStore.use((store) => store.read("shop")))
          })
        )
        assert.isTrue(Exit.isSuccess(used))
        assert.isTrue(Exit.isSuccess(yield* tried(revokeGrant(authOf(server, "app", { oauth2: "device_code" })))))
      })

      const telemetry = Otlp.layerJson({
        baseUrl: collector.url,
        resource: { serviceName: "tributary" },
        shutdownTimeout: "10 seconds"
      }).pipe(Layer.provide(FetchHttpClient.layer))
      yield* flow.pipe(
        Effect.provide(Layer.provideMerge(live(environment), telemetry)),
        Effect.provideService(References.MinimumLogLevel, "All"),
        Effect.scoped
      )

      const paths = new Set(collector.asked.map(({ path }) => path))
      assert.deepStrictEqual([...paths].toSorted(), ["/v1/logs", "/v1/metrics", "/v1/traces"])
      const exported = collector.asked.map(({ body }) => body).join("\n")
      for (const name of [
        "Consent.finish",
        "Consent.adopt",
        "Consent.beginDevice",
        "TokenEndpoint.exchange",
        "consent.revokeGrant"
      ]) {
        assert.include(exported, name, "the search looks at the traces")
      }
      assert.include(exported, "It failed.", "and at the logs")
      assert.include(exported, "oauth_token_requests_total", "and at the metrics")
      assert.isAbove(canaries.size, 15)
      const everything = [...output, exported].join("\n")
      for (const canary of canaries) {
        const plain = [canary, encodeURIComponent(canary), new URLSearchParams({ "": canary }).toString().slice(1)]
        const spellings = [
          ...plain,
          ...[canary, ...plain.map((one) => `web:${one}`)].map((one) =>
            Buffer.from(one).toString("base64").replace(/=+$/u, "")
          )
        ]
        for (const spelling of spellings) {
          const at = everything.indexOf(spelling)
          if (at >= 0) assert.fail(`found a secret: …${everything.slice(Math.max(0, at - 200), at + 80)}…`)
        }
      }
    })
)
