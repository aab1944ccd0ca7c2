import { Tokens } from "@tributary/oauth"
import { Environment, Secrets } from "@tributary/secrets"
import { hashicorpStandIn, testHttp } from "@tributary/secrets/testing"
import { Budgets, Leases, TokenStore } from "@tributary/vault"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import { authorization } from "./support.ts"

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
