import { findKafka } from "@tributary/kafka/testing"
import { durable, missing as missingRedis, redisServer } from "@tributary/redis/testing"
import { type ConsentServer, startConsentServer } from "@tributary/testkit/consent"
import { Effect, Exit, Scope } from "effect"
import { chmodSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import process from "node:process"
import { afterAll, afterEach, assert, beforeAll, describe, it } from "vitest"
import { endAll, folder, type Folder, removeFolders } from "./support.ts"

const kafka = await findKafka()
const reason = "missing" in kafka ? kafka.missing : missingRedis
const scope = Scope.makeUnsafe()
const servers: Record<string, string> = { TRIBUTARY_VAULT_KEY: Buffer.alloc(32, 3).toString("base64") }
let server: ConsentServer

beforeAll(async () => {
  server = await startConsentServer()
  if (reason !== undefined || "missing" in kafka) return
  const redis = await Effect.runPromise(Scope.provide(redisServer(...durable), scope))
  servers["TRIBUTARY_KAFKA_BROKERS"] = kafka.brokers.join(",")
  servers["TRIBUTARY_REDIS_URL"] = redis.url
})
afterEach(async () => {
  await endAll()
  removeFolders()
})
afterAll(async () => {
  await server.stop()
  await Effect.runPromise(Scope.close(scope, Exit.void))
  if ("server" in kafka) await kafka.server?.stop()
})

const file = (id: string, authorization = id) => `connector: ${id}
auth:
  oauth2: authorization_code
  authorization: ${authorization}
  issuer: ${server.issuer}
  client_id: web
  client_secret: \${env:WEB_SECRET}
  scopes: [openid, offline_access, "api:read"]
  resource: ${server.api}
  authorization_params: { prompt: consent }
http: { base_url: "${server.api}" }
streams:
  orders: { path: /orders, records: "$.data[*]", primary_key: id, poll: every 1 hour }
`

const environmentOf = (place: Folder) => {
  const browser = join(place.path, "browser.sh")
  const visitor = join(import.meta.dirname, "fixtures", "visitor.ts")
  writeFileSync(browser, `#!/bin/sh\nexec '${process.execPath}' '${visitor}' "$1"\n`)
  chmodSync(browser, 0o700)
  return { ...servers, WEB_SECRET: server.clients.web.secret ?? "", BROWSER: browser }
}

describe.skipIf(reason !== undefined)(
  `connectors that are deleted on Kafka, with their tokens in Redis${reason === undefined ? "" : ` (skipped: ${reason})`}`,
  () => {
    it(
      "lose their tokens at the server, by apply --prune, by delete, and by the control API",
      { timeout: 240_000 },
      async () => {
        const place = folder()
        const before = server.stats.revocations
        const revoked = () => server.stats.revocations - before
        mkdirSync(place.data, { recursive: true })
        const environment = environmentOf(place)
        const run = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = environment) =>
          place.run(args, env).ended
        const apply = (...flags: ReadonlyArray<string>) => run(["apply", "-f", place.connectors, ...flags])
        const given = ["pruned", "controlled", "kept", "hampered"]
        for (const id of given) place.write(`${id}.yaml`, file(id))
        place.write("sharer.yaml", file("sharer", "kept"))
        const applied = await apply()
        assert.strictEqual(applied.code, 0, applied.err)
        for (const id of given) {
          const consent = await run(["consent", id])
          assert.strictEqual(consent.code, 0, consent.err)
        }
        assert.strictEqual(revoked(), 0)

        // Its tokens are another's, too.
        place.remove("sharer.yaml")
        assert.include(
          (await apply("--prune")).out,
          "- sharer: deleted\n    Its tokens stay: kept uses the authorization kept too."
        )
        assert.strictEqual(revoked(), 0)

        place.remove("pruned.yaml")
        assert.notInclude((await apply("--prune", "--dry-run")).out, "revoked")
        assert.strictEqual(revoked(), 0)
        const pruned = await apply("--prune")
        assert.include(pruned.out, "- pruned: deleted\n    Its tokens were revoked at the server and forgotten here.")
        assert.strictEqual(revoked(), 1)

        // Without its client's secret it cannot be done; the tokens are kept for whoever has it, and the file.
        place.remove("hampered.yaml")
        const { WEB_SECRET: _secret, ...without } = environment
        const hampered = await run(["apply", "-f", place.connectors, "--prune"], without)
        assert.match(
          hampered.out,
          /- hampered: deleted\n {4}Its tokens were neither revoked nor forgotten: .*WEB_SECRET/u
        )
        assert.include(hampered.out, "Put its file back and run: tributary revoke hampered")
        assert.strictEqual(revoked(), 1)
        place.write("hampered.yaml", file("hampered"))
        assert.include((await run(["revoke", "hampered"])).out, "hampered: Its tokens were revoked at the server")
        assert.strictEqual(revoked(), 2)

        const control = place.run(["run", "control", "--http", "127.0.0.1:0"], environment)
        const address = () => /http:\/\/[\d.:]+(?=\/v1)/u.exec(control.out() + control.err())?.[0]
        await control.until("the control API is served", () => address() !== undefined)
        const isReady = async () => {
          // oxlint-disable-next-line no-restricted-globals -- a probe, as an orchestrator makes it
          const answer = await fetch(`${address()}/readyz`)
          return answer.ok
        }
        await control.until("the control API is ready", isReady)
        const remove = async (id: string) => {
          // oxlint-disable-next-line no-restricted-globals -- as another program would ask
          const answer = await fetch(`${address()}/v1/connectors/${id}`, { method: "DELETE" })
          return { status: answer.status, text: await answer.text() }
        }
        const removed = await remove("controlled")
        assert.strictEqual(removed.status, 200, removed.text)
        assert.include(removed.text, "Its tokens were revoked at the server and forgotten here.")
        assert.strictEqual(revoked(), 3)
        assert.strictEqual((await remove("controlled")).status, 404)
        control.child.kill("SIGTERM")
        await control.ended

        const deleted = await run(["delete", "kept"])
        assert.include(
          deleted.out,
          "- kept: deleted. Its topics and tables stay. Its tokens were revoked at the server"
        )
        assert.strictEqual(revoked(), 4)
        assert.include((await run(["vault", "status"])).out, "0 record(s)")
        const audit = await run(["audit", "--json"])
        assert.strictEqual(audit.out.match(/"what":"revoked"/gu)?.length, 4, `${audit.out}${audit.err}${pruned.err}`)
      }
    )
  }
)
