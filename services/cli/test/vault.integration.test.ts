import { SqliteTokenStore, TokenStore } from "@tributary/vault"
import { keyIdOf, newKey, tokens } from "@tributary/vault/testing"
import { ConfigProvider, Effect, Layer } from "effect"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { endAll, folder, removeFolders } from "./support.ts"

afterAll(async () => {
  await endAll()
  removeFolders()
})

describe("tributary vault", () => {
  it(
    "shows what lies under each key and seals it with the first one; no secret is ever shown",
    { timeout: 240_000 },
    async () => {
      const at = folder()
      const [older, newer] = [newKey(), newKey()]
      const saved = TokenStore.use((store) =>
        Effect.forEach(["a", "b", "c"], (name) => store.save(name, 0, tokens(`canary-${name}`)))
      )
      await Effect.runPromise(
        Effect.provide(
          saved,
          SqliteTokenStore.layer({ directory: join(at.data, "vault") }).pipe(
            Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({ TRIBUTARY_VAULT_KEY: older })))
          )
        )
      )
      const tributary = async (args: ReadonlyArray<string>, keys: string) => {
        const ended = await at.run(["vault", ...args], { TRIBUTARY_VAULT_KEY: keys }).ended
        for (const secret of ["canary", older, newer]) assert.notInclude(ended.out + ended.err, secret)
        return ended
      }
      const both = `${newer},${older}`
      const before = await tributary(["status"], both)
      assert.strictEqual(before.code, 0, before.err)
      assert.match(before.out, /vault\.db in .*: 3 record\(s\), sealed with [0-9a-f]{16} from now on/)
      assert.match(before.out, new RegExp(`${keyIdOf(newer)} +seals +0\\n${keyIdOf(older)} +opens +3\\n`))
      assert.match(before.err, /`tributary vault rotate` seals every record/)

      const dry = await tributary(["rotate", "--dry-run"], both)
      assert.strictEqual(dry.code, 0, dry.err)
      assert.match(dry.out, /3 record\(s\) would be sealed with .*Nothing was changed/)
      const rotated = await tributary(["rotate", "--json"], both)
      assert.strictEqual(rotated.code, 0, rotated.err)
      assert.deepInclude(JSON.parse(rotated.out), { resealed: 3, isDryRun: false })
      const audited = await at.run(["audit", "--json"]).ended
      assert.match(audited.out, /"what":"key-rotated"/u)
      const after = await tributary(["status"], newer)
      assert.match(after.out, new RegExp(`${keyIdOf(newer)} +seals +3\\n`))
      assert.strictEqual(after.err, "")

      const lost = await tributary(["rotate"], older)
      assert.strictEqual(lost.code, 1)
      assert.include(lost.err, keyIdOf(newer))
      assert.include(lost.err, keyIdOf(older))
    }
  )

  it("says where it looked when there are no tokens, and makes nothing", async () => {
    const at = folder()
    const { code, err } = await at.run(["vault", "status"]).ended
    assert.strictEqual(code, 1)
    assert.match(err, /There is no vault\.db in .*vault.*--data.*TRIBUTARY_REDIS_URL/)
  })
})
