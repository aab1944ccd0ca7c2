import { Redis, type RedisError, type RedisOptions } from "@tributary/redis"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { hasTls, missing, redisServer } from "./RedisServer.ts"

const secret = "hunter2"

/** What a write is answered with these options: an error as `class message`, or that it was done. */
const write = (options: RedisOptions) =>
  Effect.gen(function* () {
    const { connect } = yield* Redis
    const connection = yield* connect
    return yield* connection.command("SET", ["key", "value"])
  }).pipe(
    Effect.scoped,
    Effect.provide(Redis.layer({ timeout: "1 second", ...options }), { local: true }),
    Effect.match({
      onSuccess: (reply) => `done ${String(reply)}`,
      onFailure: (error: RedisError) => `${error.failureClass} ${error.message}`
    }),
    Effect.tap((said) => Effect.sync(() => assert.notInclude(said, secret)))
  )

describe("Redis addresses", () => {
  const cases: ReadonlyArray<readonly [RedisOptions, RegExp]> = [
    [{ url: `user:${secret}@host` }, /^misconfigured .*not of the form redis:\/\/host:port/],
    [{ url: "http://host:6379" }, /not of the form/],
    [{ url: `redis://:${secret}@host` }, /^misconfigured Redis at host:6379: the address holds credentials/],
    [{ url: "redis://host/main" }, /ends in "main", where the number/],
    [{ url: "redis://host", tls: {} }, /Write rediss:/],
    [{ url: "redis://127.0.0.1:1" }, /^transient Redis at 127\.0\.0\.1:1: nothing listens there/],
    [{ url: "redis://no-such-host.invalid" }, /^transient .*(ENOTFOUND|EAI_AGAIN)/]
  ]
  for (const [options, expected] of cases) {
    it.live(`explains ${options.url.replace(secret, "...")}`, () =>
      Effect.map(write(options), (said) => assert.match(said, expected))
    )
  }

  it.live("explains a server of another kind", () =>
    Effect.gen(function* () {
      const server = createServer((_, response) => response.end())
      yield* Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void)))
      yield* Effect.addFinalizer(() => Effect.sync(() => server.close()))
      const address = server.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      assert.match(
        yield* write({ url: `redis://127.0.0.1:${port}` }),
        /^misconfigured .*does not speak the Redis protocol/
      )
      assert.match(yield* write({ url: `rediss://127.0.0.1:${port}` }), /^misconfigured .*does not speak TLS/)
    })
  )
})

describe.skipIf(missing !== undefined)(`Redis${missing === undefined ? "" : ` (${missing})`}`, () => {
  it.live("explains what Redis refuses", () =>
    Effect.gen(function* () {
      const open = yield* redisServer()
      assert.strictEqual(yield* write({ url: open.url }), "done OK")
      assert.strictEqual(yield* write({ url: `${open.url}/3` }), "done OK")
      assert.match(yield* write({ url: `${open.url}/99` }), /^misconfigured .*does not have the database/)

      const closed = yield* redisServer("--requirepass", secret)
      assert.match(yield* write({ url: closed.url }), /^misconfigured .*asks for a password/)
      assert.match(
        yield* write({ url: closed.url, password: Redacted.make("guess") }),
        /^misconfigured .*does not accept the user or the password/
      )
      const url = closed.url
      assert.strictEqual(yield* write({ url, password: Redacted.make(secret) }), "done OK")
      assert.strictEqual(yield* write({ url, username: "default", password: Redacted.make(secret) }), "done OK")

      const weak = yield* redisServer("--user", "app", "on", `>${secret}`, "~*", "+get")
      assert.match(
        yield* write({ url: weak.url, username: "app", password: Redacted.make(secret) }),
        /^misconfigured .*may not do what is needed/
      )
      const full = yield* redisServer("--maxmemory", "1")
      assert.match(yield* write({ url: full.url }), /^transient .*memory is full/)
      const replica = yield* redisServer("--replicaof", "127.0.0.1", String(open.port))
      assert.match(yield* write({ url: replica.url }), /^transient .*read-only replica/)
      const cluster = yield* redisServer("--cluster-enabled", "yes")
      assert.match(
        yield* write({ url: cluster.url }),
        /^misconfigured .*part of a Redis Cluster, which is not supported/
      )
      assert.match(
        yield* write({ url: open.url.replace("redis:", "rediss:") }),
        /check whether it speaks TLS on this port; if not, write redis:/
      )
      const crowded = yield* redisServer("--maxclients", "1")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { connect } = yield* Redis
          yield* (yield* connect).command("PING", [])
          assert.match(yield* write({ url: crowded.url }), /^transient .*as many clients as it allows/)
        }).pipe(Effect.provide(crowded.layer(), { local: true }))
      )
    })
  )

  const hasOpenssl = spawnSync("openssl", ["version"]).status === 0

  it.live.skipIf(!hasOpenssl || !hasTls)("speaks TLS, and checks the certificate", () =>
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-tls-"))),
        (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
      )
      const [cert, key] = [join(directory, "cert.pem"), join(directory, "key.pem")]
      const made = spawnSync("openssl", [
        ..."req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=redis.example".split(" "),
        "-addext",
        "subjectAltName=DNS:redis.example",
        "-keyout",
        key,
        "-out",
        cert
      ])
      assert.strictEqual(made.status, 0, String(made.stderr))
      const { port: tlsPort } = yield* redisServer().pipe(Effect.tap(({ kill }) => kill))
      yield* redisServer(
        "--tls-port",
        String(tlsPort),
        "--tls-cert-file",
        cert,
        "--tls-key-file",
        key,
        "--tls-auth-clients",
        "no"
      )
      const ca = readFileSync(cert, "utf8")
      const url = `rediss://127.0.0.1:${tlsPort}`
      assert.strictEqual(yield* write({ url, tls: { ca, serverName: "redis.example" } }), "done OK")
      assert.match(yield* write({ url, tls: { ca } }), /^misconfigured .*for another host name/)
      assert.match(yield* write({ url }), /^misconfigured .*certificate is self-signed/)
      assert.match(yield* write({ url: url.replace("rediss", "redis") }), /^transient .*expects TLS/)
    })
  )
})
