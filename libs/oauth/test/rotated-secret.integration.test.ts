import { Tokens } from "@tributary/oauth"
import { Environment, Secrets } from "@tributary/secrets"
import { hashicorpStandIn, testHttp } from "@tributary/secrets/testing"
import { Budgets, Leases, TokenStore } from "@tributary/vault"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Layer, Redacted } from "effect"
import { authorization, authServer, secrets } from "./support.ts"

/** Builds workers that share what is stored, and nothing else. */
const makeWorkers = Effect.gen(function* () {
  const shared = Layer.succeedContext(
    yield* Layer.build(Layer.mergeAll(TokenStore.layerMemory, Leases.layerMemory, Budgets.layer))
  )
  return (own: Layer.Layer<Secrets>) =>
    Effect.map(
      Layer.build(
        Layer.fresh(Tokens.layer).pipe(
          Layer.provide([own, shared, ConfigProvider.layer(ConfigProvider.fromEnvRecord({}))])
        )
      ),
      (context) => Context.get(context, Tokens)
    )
})

describe("a client secret that was rotated where it is kept", () => {
  it.live("is used at once, although the old one is still known, and is asked for once", () =>
    Effect.gen(function* () {
      const vault = yield* hashicorpStandIn
      let accepted = "secret-1"
      let issued = 0
      const server = yield* testHttp(({ body }) => {
        if (new URLSearchParams(body).get("client_secret") !== accepted) {
          return { status: 401, body: { error: "invalid_client" } }
        }
        issued++
        return { status: 200, body: { access_token: `access-${issued}`, token_type: "Bearer", expires_in: 3600 } }
      })
      vault.secrets.set("kv/shop", { secret: "secret-1" })
      const layer = Tokens.layer.pipe(
        Layer.provide([Secrets.layer, Leases.layerMemory, Budgets.layer]),
        Layer.provide(TokenStore.layerMemory),
        Layer.provide(
          Layer.merge(
            Layer.succeed(Environment, {}),
            ConfigProvider.layer(ConfigProvider.fromEnvRecord({ VAULT_ADDR: vault.url, VAULT_TOKEN: "root-token" }))
          )
        )
      )
      yield* Effect.gen(function* () {
        const manager = yield* (yield* Tokens).manager(
          authorization({
            client_auth: "post",
            client_secret: "${vault:kv/shop#secret}",
            token_url: `${server.url}/token`
          })
        )
        const first = yield* manager.get
        assert.strictEqual(Redacted.value(first.value), "access-1")
        const questions = () => vault.asked.filter(({ path }) => path.includes("kv/data")).length
        assert.strictEqual(questions(), 1)

        vault.secrets.set("kv/shop", { secret: "secret-2" })
        accepted = "secret-2"
        // What was read in the last 5 seconds is not asked for again.
        yield* Effect.sleep("5100 millis")
        yield* manager.rejected(first)
        assert.strictEqual(Redacted.value((yield* manager.get).value), "access-2")
        assert.strictEqual(questions(), 2)
        assert.strictEqual(server.asked.length, 3, "the refused request was made again with the new secret")
      }).pipe(Effect.scoped, Effect.provide(layer))
    })
  )
})

describe("workers that share a refresh token", () => {
  it.live("use each other's tokens while some of them know an older client secret", () =>
    Effect.gen(function* () {
      const server = yield* authServer({ clients: [{ id: "client", secret: "old-secret" }] })
      const worker = yield* makeWorkers
      const settings = {
        token_url: server.tokenUrl,
        oauth2: "refresh_token",
        refresh_token: "${env:FIRST}",
        client_secret: ["${env:NEW}", "${env:OLD}"]
      }
      const first = server.control.issueRefreshToken("client")
      const of = (newest: string) =>
        Effect.flatMap(worker(Layer.fresh(secrets({ FIRST: first, NEW: newest, OLD: "old-secret" }))), (tokens) =>
          tokens.manager(authorization(settings))
        )
      const one = yield* (yield* of("new-secret")).get
      const { tokenRequests } = server.stats
      const two = yield* (yield* of("newer-secret")).get
      assert.strictEqual(Redacted.value(two.value), Redacted.value(one.value))
      assert.strictEqual(server.stats.tokenRequests, tokenRequests)
    }).pipe(Effect.scoped)
  )

  const goBack = (name: string, isAway: boolean) =>
    it.live(name, () =>
      Effect.gen(function* () {
        const vault = yield* hashicorpStandIn
        const server = yield* authServer({ clients: [{ id: "client", secret: "client-secret" }] })
        const worker = yield* makeWorkers
        const from = Effect.flatMap(
          worker(
            Layer.fresh(Secrets.layer).pipe(
              Layer.provide([
                Layer.succeed(Environment, { CLIENT_SECRET: "client-secret" }),
                ConfigProvider.layer(ConfigProvider.fromEnvRecord({ VAULT_ADDR: vault.url, VAULT_TOKEN: "root-token" }))
              ])
            )
          ),
          (tokens) =>
            tokens.manager(
              authorization({
                token_url: server.tokenUrl,
                oauth2: "refresh_token",
                refresh_token: "${vault:kv/shop#token}"
              })
            )
        )
        vault.secrets.set("kv/shop", { token: server.control.issueRefreshToken("client") })
        const one = yield* from
        const before = yield* one.get
        vault.secrets.set("kv/shop", { token: server.control.issueRefreshToken("client") })
        const after = yield* (yield* from).get
        assert.notStrictEqual(Redacted.value(after.value), Redacted.value(before.value))
        // The first worker read the old one a moment ago.
        if (isAway) vault.fault("/kv/data/", ...Array.from({ length: 60 }, () => "reset" as const))
        yield* one.rejected(before)
        assert.strictEqual(Redacted.value((yield* one.get).value), Redacted.value(after.value))
        assert.strictEqual(server.stats.reuses, 0)
      }).pipe(Effect.scoped)
    )
  goBack("do not go back to a first token that was replaced in the store of secrets and by another worker", false)
  goBack("nor when the store of secrets does not tell them", true)
})
