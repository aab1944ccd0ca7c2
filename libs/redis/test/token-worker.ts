import { OAuth2 } from "@tributary/domain"
import { Tokens } from "@tributary/oauth"
import { Redis, RedisBudgets, RedisLeases, RedisTokenStore } from "@tributary/redis"
import { Environment, Secrets } from "@tributary/secrets"
import { Clock, ConfigProvider, Effect, Layer, Redacted, Schema } from "effect"
import { writeSync } from "node:fs"
import process from "node:process"

/** A process of the tests: uses one authorization for ever, and prints the tokens it got and the errors. Killed by the test. */
const [grant = "", url = "", name = "", key = "", tokenUrl = "", base = ""] = process.argv.slice(2)

const print = (...words: ReadonlyArray<string | number>) =>
  Effect.sync(() => void writeSync(1, `${name} ${words.join(" ")}\n`))

// The test ended without ending this process.
process.stdin.resume().once("close", () => process.exit(1))

const authorization = {
  id: "shop",
  oauth2: Schema.decodeUnknownSync(OAuth2)({
    oauth2: grant,
    client_id: "client",
    client_secret: "${env:CLIENT_SECRET}",
    token_url: tokenUrl,
    ...(grant === "refresh_token" ? { refresh_token: "${file:./first}" } : {})
  }),
  base
}

const use = Effect.gen(function* () {
  const manager = yield* Effect.flatMap(Tokens, (tokens) => tokens.manager(authorization)).pipe(
    // What keeps the store's data may not be there yet.
    Effect.retry({ times: 100 })
  )
  let last = ""
  for (;;) {
    const now = yield* Clock.currentTimeMillis
    const said = yield* Effect.match(manager.get, {
      onSuccess: ({ generation, value }) => `got ${generation} ${Redacted.value(value)}`,
      onFailure: (error) => `error ${error.failureClass} ${error.message}`
    })
    const waited = (yield* Clock.currentTimeMillis) - now
    if (said !== last || waited > 500) yield* print(said, waited)
    else yield* print("again")
    last = said
    yield* Effect.sleep(25)
  }
}).pipe(Effect.scoped)

const settings = ConfigProvider.layer(
  ConfigProvider.fromEnvRecord({ TRIBUTARY_VAULT_KEY: key, TRIBUTARY_OAUTH_TIMEOUT: "1 second" })
)

await Effect.runPromise(
  Effect.andThen(print("started"), use).pipe(
    Effect.provide(
      Tokens.layer.pipe(
        Layer.provide(Layer.mergeAll(RedisLeases.layer, RedisTokenStore.layer, RedisBudgets.layer)),
        Layer.provide([
          Redis.layer({ url, timeout: "1 second" }),
          Secrets.layer.pipe(Layer.provide(Layer.succeed(Environment, { CLIENT_SECRET: "client-secret" })))
        ]),
        Layer.provide(settings)
      )
    )
  )
)
