import { rotateVault, type VaultStatus, vaultStatus } from "@tributary/vault"
import { AuditTrail } from "@tributary/telemetry"
import { Effect, Layer } from "effect"
import { Command, Flag } from "effect/cli"
import { auditOf, vaultOf } from "./Engine.ts"
import { count, printable, table } from "./Format.ts"
import { Screen } from "./Screen.ts"

const meaning = { current: "seals", readable: "opens", missing: "not given" } as const

/** One line for each key; ids of keys only. */
const shown = ({ current, keys, store }: VaultStatus): string => {
  const total = keys.reduce((sum, { records }) => sum + records, 0)
  const rows = keys.map(({ firstForm, keyId, records, state }) => [
    printable(keyId),
    meaning[state],
    count(records),
    firstForm === 0 ? "" : `${count(firstForm)} in the form of an earlier version`
  ])
  return `${store}: ${count(total)} record(s), sealed with ${printable(current)} from now on.\n${table([["key", "", "records", ""], ...rows])}`
}

const advice = ({ current, keys }: VaultStatus): string | undefined => {
  if (keys.some(({ records, state }) => state === "missing" && records > 0)) {
    return "Records whose key is not given cannot be read. Add their keys behind the first one (TRIBUTARY_VAULT_KEY)."
  }
  return keys.some(({ firstForm, keyId, records }) => firstForm > 0 || (keyId !== current && records > 0))
    ? "`tributary vault rotate` seals every record with the first key."
    : undefined
}

const showStatus = Effect.fn("cli.vaultStatus")(function* (json: boolean) {
  const screen = yield* Screen
  const status = yield* vaultStatus
  yield* screen.print(json ? JSON.stringify(status) : shown(status))
  const next = json ? undefined : advice(status)
  if (next !== undefined) yield* screen.note(next)
})

const rotate = Effect.fn("cli.vaultRotate")(function* (options: {
  readonly isDryRun: boolean
  readonly isAll: boolean
  readonly json: boolean
}) {
  const screen = yield* Screen
  const rotated = yield* rotateVault(options)
  if (!rotated.isDryRun && rotated.resealed > 0) {
    const { record } = yield* AuditTrail
    yield* record({
      authorization: "",
      connectors: [],
      what: "key-rotated",
      outcome: "ok",
      detail: `${count(rotated.resealed)} record(s) are sealed with ${printable(rotated.status.current)} now.`
    })
  }
  if (options.json) return yield* screen.print(JSON.stringify(rotated))
  yield* screen.print(shown(rotated.status))
  yield* screen.print(
    rotated.isDryRun
      ? `${count(rotated.resealed)} record(s) would be sealed with ${printable(rotated.status.current)}. Nothing was changed.`
      : `${count(rotated.resealed)} record(s) were sealed with ${printable(rotated.status.current)}. Older keys are needed for backups only.`
  )
})

/** What the root command gives. */
interface Shared {
  readonly data: string
  readonly json: boolean
}

/** `tributary vault`: keys of the token store and what lies under them. */
export const vaultCommand = <E, R>(root: Effect.Effect<Shared, E, R>) => {
  const status = Command.make(
    "status",
    {},
    Effect.fn(function* () {
      const { data, json } = yield* root
      yield* Effect.provide(showStatus(json), vaultOf(data))
    })
  ).pipe(Command.withDescription("Show the keys that are given and how many records lie under each; never a secret"))

  const rotation = Command.make(
    "rotate",
    {
      dryRun: Flag.Boolean("dry-run").pipe(
        Flag.withDescription("Only say how many records would be sealed anew"),
        Flag.withDefault(false)
      ),
      all: Flag.Boolean("all").pipe(
        Flag.withDescription("Also records that are sealed with the first key: after it was rotated where it is kept"),
        Flag.withDefault(false)
      )
    },
    Effect.fn(function* ({ all, dryRun }) {
      const { data, json } = yield* root
      yield* Effect.provide(rotate({ isDryRun: dryRun, isAll: all, json }), Layer.merge(vaultOf(data), auditOf(data)))
    })
  ).pipe(
    Command.withDescription(
      "Seal every record with the first key, while workers go on; can be ended and run again at any time"
    )
  )

  return Command.make("vault").pipe(
    Command.withDescription("Keys of the stored tokens: what is sealed with which, and changing them"),
    Command.withSubcommands([status, rotation])
  )
}
