import { rotateVault, SealedRecords, SqliteTokenStore, TokenStore, vaultStatus } from "@tributary/vault"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { randomBytes } from "node:crypto"
import { acknowledgedIn, intact, refreshed } from "./rotating.ts"
import { startSpeaker } from "./SaidLines.ts"
import { temporaryDirectory } from "./tokens.ts"

const kills = 25
const module = new URL("rotation-loop.ts", import.meta.url).pathname
const [older, newer] = [randomBytes(32).toString("base64"), randomBytes(32).toString("base64")]

const opened = (directory: string, keys: string) =>
  SqliteTokenStore.layer({ directory }).pipe(
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({ TRIBUTARY_VAULT_KEY: keys })))
  )

/** Refreshes go on while the rotation is killed in the middle of a record, again and again. */
const tortured = Effect.fnUntraced(function* (directory: string, mode: "rotate" | "naive", rounds: number) {
  // A worker that has the new key already, but still behind the old one.
  const worker = yield* startSpeaker(module, [directory, "refresh"], { TRIBUTARY_VAULT_KEY: `${older},${newer}` })
  yield* worker.until((line) => line.startsWith("saved"), 2 * refreshed.length)
  const problems: Array<string> = []
  let resealed = 0
  for (let round = 0; round < rounds && problems.length === 0; round++) {
    const rotation = yield* startSpeaker(module, [directory, mode], { TRIBUTARY_VAULT_KEY: `${newer},${older}` })
    yield* rotation.until((line) => line.startsWith(round % 2 === 0 ? "begin" : "end"), 1 + ((round * 7) % 23))
    yield* rotation.kill
    yield* worker.until((line) => line.startsWith("saved"), 1)
    resealed += rotation.lines.filter((line) => line.endsWith("resealed")).length
    const acknowledged = acknowledgedIn(worker.lines)
    problems.push(
      ...(yield* Effect.provide(intact(acknowledged), opened(directory, `${newer},${older}`), { local: true }))
    )
    problems.push(...worker.lines.filter((line) => line.startsWith("refused")))
  }
  yield* worker.kill
  return { problems, resealed, acknowledged: acknowledgedIn(worker.lines) }
})

describe("rotation of the vault's keys", () => {
  it.live(
    `loses nothing while tokens are refreshed and it is killed ${kills} times, and goes on where it was`,
    () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        const { acknowledged, problems, resealed } = yield* tortured(directory, "rotate", kills)
        assert.deepStrictEqual(problems, [])
        assert.isAbove(resealed, kills, "records were sealed anew in between")
        assert.strictEqual(acknowledged.size, refreshed.length)
        const done = yield* Effect.provide(
          Effect.gen(function* () {
            const rotated = yield* rotateVault({ isDryRun: false, isAll: false })
            assert.strictEqual((yield* (yield* SealedRecords).keys).current, rotated.status.current)
            return rotated.status
          }),
          opened(directory, `${newer},${older}`),
          { local: true }
        )
        assert.deepStrictEqual(
          done.keys.map(({ records, state }) => [records, state]),
          [
            [refreshed.length, "current"],
            [0, "readable"]
          ]
        )
        // The old key is needed no more.
        const last = yield* Effect.provide(
          Effect.all({ problems: intact(acknowledged), status: vaultStatus }),
          opened(directory, newer),
          { local: true }
        )
        assert.deepStrictEqual(last.problems, [])
        assert.strictEqual(last.status.keys.length, 1)
      }),
    240_000
  )

  it.live(
    "would lose refreshes if it wrote what it had read before",
    () =>
      Effect.gen(function* () {
        const directory = yield* temporaryDirectory
        const { problems } = yield* tortured(directory, "naive", kills)
        assert.isNotEmpty(problems)
        assert.isTrue(yield* Effect.provide(Effect.as(TokenStore, true), opened(directory, `${newer},${older}`)))
      }),
    240_000
  )
})
