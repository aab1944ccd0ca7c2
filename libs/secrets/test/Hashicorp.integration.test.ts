import { Environment, remoteKey, type SecretError, Secrets } from "@tributary/secrets"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { hashicorpStandIn } from "./HashicorpStandIn.ts"
import { temporaryDirectory } from "./support.ts"

const layerOf = (settings: Readonly<Record<string, string>>) =>
  Secrets.layer.pipe(
    Layer.provide(
      Layer.merge(
        Layer.succeed(Environment, {}),
        ConfigProvider.layer(ConfigProvider.fromEnvRecord({ TRIBUTARY_SECRETS_TIMEOUT: "5 seconds", ...settings }))
      )
    )
  )

const read = (reference: string) => Secrets.use((secrets) => Effect.map(secrets.secret(reference, "/"), Redacted.value))
const failure = (reference: string): Effect.Effect<SecretError, string, Secrets> => Effect.flip(read(reference))

/** A stand-in with one secret, and what is needed to reach it with a token. */
const started = Effect.gen(function* () {
  const server = yield* hashicorpStandIn
  server.secrets.set("kv/team/shop", { secret: "s3cret", id: "shop", pin: 12 })
  server.secrets.set("old/shop", { secret: "0ld" })
  return { server, settings: { VAULT_ADDR: server.url, VAULT_TOKEN: "root-token" } }
})

describe("HashiCorp Vault", () => {
  it.live("gives fields of KV secrets of both versions; one question serves all fields", () =>
    Effect.gen(function* () {
      const { server, settings } = yield* started
      yield* Effect.gen(function* () {
        const values = yield* Effect.forEach(
          ["secret", "id", "secret"],
          (field) => read(`\${vault:kv/team/shop#${field}}`),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(values, ["s3cret", "shop", "s3cret"])
        assert.strictEqual(server.asked.filter(({ path }) => path === "/v1/kv/data/team/shop").length, 1)
        assert.strictEqual(yield* read("${vault:old/shop#secret}"), "0ld")
        assert.isTrue(server.asked.every(({ headers }) => headers["x-vault-request"] === "true"))
      }).pipe(Effect.provide(layerOf(settings)))
      server.hideMounts()
      assert.strictEqual(yield* Effect.provide(read("${vault:kv/team/shop#id}"), layerOf(settings)), "shop")
    })
  )

  it.live("says what is wrong, where, and what to do", () =>
    Effect.gen(function* () {
      const { server, settings } = yield* started
      server.secrets.set("kv/gone", null)
      server.secrets.set("kv/empty", { secret: "" })
      server.tokens.set("denied-token", { ttl: 0, isRenewable: false, isAllowed: false })
      const problem = (reference: string, given: Readonly<Record<string, string>> = settings) =>
        Effect.map(Effect.provide(failure(reference), layerOf(given)), (error) => {
          assert.strictEqual(error.failureClass, "misconfigured")
          for (const secret of ["s3cret", "root-token", "denied-token"]) assert.notInclude(error.message, secret)
          return error.message
        })
      const none = yield* problem("${vault:kv/team/shop#secret}", {})
      assert.match(none, /^\$\{vault:kv\/team\/shop#secret\}: HashiCorp Vault: it is not configured\. Set VAULT_ADDR/)
      assert.match(
        yield* problem("${vault:kv/a#b}", { VAULT_ADDR: server.url }),
        /nothing says how to log in\. Set VAULT_TOKEN/
      )
      assert.match(
        yield* problem("${vault:kv/a#b}", { VAULT_ADDR: "https://u:p@host" }),
        /VAULT_ADDR is not an address/
      )
      assert.match(
        yield* problem("${vault:kv/nothing#secret}"),
        /at 127\.0\.0\.1:\d+, secret kv\/nothing: there is no such secret.*vault kv put kv\/nothing/
      )
      assert.match(yield* problem("${vault:kv/data/team/shop#secret}"), /Write kv\/team\/shop, without data\//)
      const asked = server.asked.length
      for (const path of ["kv//shop", "kv/../sys/seal-status", "kv/team/./shop", "/kv/shop", "kv/shop/", "kv/.."]) {
        assert.match(yield* problem(`\${vault:${path}#secret}`), /a part that is empty, `\.` or `\.\.`/, path)
      }
      assert.strictEqual(server.asked.length, asked)
      assert.match(yield* problem("${vault:kv/gone#secret}"), /latest version was deleted/)
      assert.match(yield* problem("${vault:kv/team/shop#secert}"), /no field secert\. Did you mean secret\?/)
      assert.match(yield* problem("${vault:kv/team/shop#pin}"), /the field pin .* is no text/)
      assert.match(yield* problem("${vault:kv/empty#secret}"), /is empty/)
      const denied = yield* problem("${vault:kv/team/shop#secret}", { ...settings, VAULT_TOKEN: "denied-token" })
      assert.match(
        denied,
        /it is denied \(1 error occurred: \* permission denied\)\. Let a policy .* allow read on kv\/data\/team\/shop/
      )
      const wrong = yield* problem("${vault:kv/team/shop#secret}", { ...settings, VAULT_TOKEN: "no-token-at-all" })
      assert.match(wrong, /it is denied/)
      const role = {
        VAULT_ADDR: server.url,
        TRIBUTARY_HASHICORP_ROLE_ID: "r",
        TRIBUTARY_HASHICORP_SECRET_ID: "canary-s"
      }
      const login = yield* problem("${vault:kv/team/shop#secret}", role)
      assert.match(login, /login by approle: the credentials are refused \(400: invalid role or secret ID\)/)
      assert.notInclude(login, "canary-s")
    })
  )

  it.live("tries again what may pass, and says its class when it does not", () =>
    Effect.gen(function* () {
      const { server, settings } = yield* started
      const at = "/kv/data/"
      server.fault(at, { status: 503, body: { errors: ["Vault is sealed"] } }, "reset")
      assert.strictEqual(yield* Effect.provide(read("${vault:kv/team/shop#id}"), layerOf(settings)), "shop")
      const busy = { status: 429, body: { errors: ["request path: rate limit quota exceeded"] } }
      server.fault(at, busy, busy, busy)
      const throttled = yield* Effect.provide(failure("${vault:kv/team/shop#id}"), layerOf(settings))
      assert.strictEqual(throttled.failureClass, "throttled")
      server.fault(at, ...Array.from({ length: 3 }, () => ({ status: 500, body: { errors: ["internal error"] } })))
      const broken = yield* Effect.provide(failure("${vault:kv/team/shop#id}"), layerOf(settings))
      assert.strictEqual(broken.failureClass, "transient")
      server.fault(at, "hang")
      const hanging = layerOf({ ...settings, TRIBUTARY_SECRETS_TIMEOUT: "300 millis" })
      const late = yield* Effect.provide(failure("${vault:kv/team/shop#id}"), hanging)
      assert.strictEqual(late.failureClass, "transient")
      assert.match(late.message, /no answer within 300ms/)
      const away = yield* Effect.provide(
        failure("${vault:kv/a#b}"),
        layerOf({ ...settings, VAULT_ADDR: "http://127.0.0.1:1" })
      )
      assert.strictEqual(away.failureClass, "transient")
      assert.match(away.message, /cannot be reached \(ECONNREFUSED\)/)
    })
  )

  it.live("logs in by AppRole, renews the token while it can be, and logs in anew when it was revoked", () =>
    Effect.gen(function* () {
      const { server } = yield* started
      server.roles.set("role", { secretId: "secret-id", ttl: 3 })
      const directory = yield* temporaryDirectory
      writeFileSync(join(directory, "secret-id"), "secret-id\n")
      const settings = {
        VAULT_ADDR: server.url,
        TRIBUTARY_HASHICORP_ROLE_ID: "role",
        TRIBUTARY_HASHICORP_SECRET_ID_FILE: join(directory, "secret-id"),
        TRIBUTARY_SECRETS_TTL: "1 millis"
      }
      const asked = (part: string) => server.asked.filter(({ path }) => path.includes(part)).length
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* read("${vault:kv/team/shop#secret}"), "s3cret")
        // A life of 3 seconds is near its end, so what is renewed is replaced.
        yield* server.until(() => asked("renew-self") >= 1 && asked("approle/login") >= 2)
        server.tokens.clear()
        assert.strictEqual(yield* read("${vault:kv/team/shop#id}"), "shop", "a new login follows the refusal")
      }).pipe(Effect.provide(layerOf(settings)))
    })
  )

  it.live("logs in with the token of a Kubernetes service account, read anew each time", () =>
    Effect.gen(function* () {
      const { server } = yield* started
      const directory = yield* temporaryDirectory
      const jwtFile = join(directory, "jwt")
      writeFileSync(jwtFile, "jwt-1")
      server.jwts.set("tributary", "jwt-1")
      const settings = {
        VAULT_ADDR: server.url,
        TRIBUTARY_HASHICORP_ROLE: "tributary",
        TRIBUTARY_HASHICORP_JWT_FILE: jwtFile,
        TRIBUTARY_SECRETS_TTL: "1 millis"
      }
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* read("${vault:kv/team/shop#secret}"), "s3cret")
        yield* Effect.sleep("5 millis")
        server.jwts.set("tributary", "jwt-2")
        server.tokens.clear()
        const error = yield* failure("${vault:kv/team/shop#secret}")
        assert.match(error.message, /login by kubernetes: the credentials are refused \(403/)
        writeFileSync(jwtFile, "jwt-2")
        assert.strictEqual(yield* read("${vault:kv/team/shop#secret}"), "s3cret")
      }).pipe(Effect.provide(layerOf(settings)))
    })
  )

  it.live("takes up the token that an agent wrote into its file", () =>
    Effect.gen(function* () {
      const { server } = yield* started
      const file = join(yield* temporaryDirectory, "token")
      writeFileSync(file, "root-token\n")
      const settings = {
        VAULT_ADDR: server.url,
        TRIBUTARY_HASHICORP_TOKEN_FILE: file,
        TRIBUTARY_SECRETS_TTL: "1 millis"
      }
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* read("${vault:kv/team/shop#secret}"), "s3cret")
        server.tokens.clear()
        server.tokens.set("next-token", { ttl: 3600, isRenewable: true, isAllowed: true })
        writeFileSync(file, "next-token\n")
        yield* Effect.sleep("5 millis")
        assert.strictEqual(yield* read("${vault:kv/team/shop#secret}"), "s3cret")
      }).pipe(Effect.provide(layerOf(settings)))
    })
  )

  it.effect("is asked again after the time that secrets are kept, and at once when a secret was refused", () =>
    Effect.gen(function* () {
      const { server, settings } = yield* started
      const reference = "${vault:kv/team/shop#secret}"
      yield* Effect.gen(function* () {
        const secrets = yield* Secrets
        assert.strictEqual(yield* read(reference), "s3cret")
        server.secrets.set("kv/team/shop", { secret: "rotated-1" })
        yield* TestClock.adjust("4 minutes")
        assert.strictEqual(yield* read(reference), "s3cret")
        yield* TestClock.adjust("2 minutes")
        assert.strictEqual(yield* read(reference), "rotated-1")
        server.secrets.set("kv/team/shop", { secret: "rotated-1a" })
        assert.strictEqual(yield* secrets.renew(`a ${reference}`), "unchanged", "it was read just now")
        assert.strictEqual(yield* secrets.renew(`a ${reference}`, { isForced: true }), "changed")
        server.secrets.set("kv/team/shop", { secret: "rotated-2" })
        yield* TestClock.adjust("6 seconds")
        assert.strictEqual(yield* secrets.renew(`a ${reference} and "${reference}"`), "changed")
        assert.strictEqual(yield* read(reference), "rotated-2")
        yield* TestClock.adjust("6 seconds")
        assert.strictEqual(yield* secrets.renew(reference), "unchanged")
        assert.strictEqual(yield* secrets.renew("${env:A} ${file:b} ${vault:kv/other#c}"), "unchanged")
      }).pipe(Effect.provide(layerOf(settings)))
    })
  )

  it.live("may be away while its secrets are known, but not deny them", () =>
    Effect.gen(function* () {
      const { server, settings } = yield* started
      const reference = "${vault:kv/team/shop#secret}"
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* read(reference), "s3cret")
        server.fault("/kv/data/", "reset", "reset", "reset")
        yield* Effect.sleep("5 millis")
        assert.strictEqual(yield* read(reference), "s3cret", "the store does not answer")
        server.fault("/kv/data/", "reset", "reset", "reset")
        // Nor does it say that nothing has changed.
        assert.strictEqual(yield* Secrets.use(({ renew }) => renew(reference, { isForced: true })), "unknown")
      }).pipe(Effect.provide(layerOf({ ...settings, TRIBUTARY_SECRETS_TTL: "1 millis" })))
      yield* Effect.gen(function* () {
        assert.strictEqual(yield* read(reference), "s3cret")
        server.secrets.delete("kv/team/shop")
        yield* Effect.sleep("5 millis")
        assert.strictEqual((yield* failure(reference)).failureClass, "misconfigured")
      }).pipe(Effect.provide(layerOf({ ...settings, TRIBUTARY_SECRETS_TTL: "1 millis" })))
    })
  )

  it.live("wraps keys by transit, and unwraps what older versions of the key wrapped", () =>
    Effect.gen(function* () {
      const { server, settings } = yield* started
      server.rotateKey("tributary")
      const dataKey = Redacted.make<Uint8Array>(Buffer.alloc(32, 5))
      yield* Effect.gen(function* () {
        const key = yield* remoteKey("vault", "transit/tributary")
        assert.deepInclude(key, { id: "vault:transit/tributary", isHere: false })
        const first = yield* key.wrap(dataKey)
        server.rotateKey("tributary")
        const second = yield* key.wrap(dataKey)
        assert.match(Buffer.from(first).toString(), /^vault:v1:/)
        assert.match(Buffer.from(second).toString(), /^vault:v2:/)
        for (const wrapped of [first, second]) {
          assert.deepStrictEqual(Buffer.from(Redacted.value(yield* key.unwrap(wrapped))), Buffer.alloc(32, 5))
        }
        const damaged = yield* Effect.flip(key.unwrap(Buffer.from(`vault:v1:${Buffer.alloc(60).toString("base64")}`)))
        assert.match(
          damaged.message,
          /transit key transit\/tributary: it answered 400 \(cipher: message authentication failed\)/
        )
        const none = yield* remoteKey("vault", "transit/none")
        assert.match((yield* Effect.flip(none.wrap(dataKey))).message, /encryption key not found/)
        assert.match(
          (yield* Effect.flip(remoteKey("vault", "tributary"))).message,
          /names no key of the transit engine/
        )
      }).pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(settings)))
    })
  )
})
