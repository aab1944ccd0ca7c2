import { Effect, Schedule, Schema } from "effect"
import { type SealedRecord, SealedRecords } from "./SealedRecords.ts"
import type { VaultError } from "./TokenStore.ts"

/** What lies under one key. */
export interface KeyUse {
  readonly keyId: string
  readonly records: number
  /** Of these, how many have the form of an earlier version. */
  readonly firstForm: number
  /** `current` seals, `readable` opens, `missing` is not given here. */
  readonly state: "current" | "readable" | "missing"
}

/** Keys of a store and what lies under them; never a secret. */
export interface VaultStatus {
  readonly store: string
  readonly current: string
  /** The current key first, then other keys that are given, then those that are missing. */
  readonly keys: ReadonlyArray<KeyUse>
}

export interface Rotated {
  readonly status: VaultStatus
  /** How many records were sealed anew; with `isDryRun`, how many would be. */
  readonly resealed: number
  readonly isDryRun: boolean
}

/** Records are left that could not be sealed anew. Nothing was lost: they are as they were. */
export class NotRotated extends Schema.TaggedError<NotRotated>()("NotRotated", {
  store: Schema.String,
  problem: Schema.String,
  resealed: Schema.Natural
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `${this.store}: ${this.problem} ${this.resealed} record(s) were sealed anew; nothing was lost.`
  }
}

/** So many times all records are looked at: workers may go on sealing with an older key until they have the new one. */
const mostRounds = 3
/** What is locked, or away for a moment, is tried for so long; a key's keeper has tried by itself. */
const again = Schedule.spaced("200 millis").pipe(Schedule.upTo({ duration: "10 seconds" }))
/** A record that is refreshed all the time is tried so often in one round. */
const mostTries = 10

const useOf = (id: string, records: ReadonlyArray<SealedRecord>, state: KeyUse["state"]): KeyUse => {
  const own = records.filter(({ keyId }) => keyId === id)
  return { keyId: id, records: own.length, firstForm: own.filter(({ isFirstForm }) => isFirstForm).length, state }
}

/** Which keys are given, and how many records lie under each. */
export const vaultStatus = Effect.gen(function* () {
  const { keys, list, store } = yield* SealedRecords
  const { current, given } = yield* keys
  const records = yield* list
  const missing = [...new Set(records.map(({ keyId }) => keyId))].filter((id) => !given.includes(id)).toSorted()
  const status: VaultStatus = {
    store,
    current,
    keys: [
      useOf(current, records, "current"),
      ...given.filter((id) => id !== current).map((id) => useOf(id, records, "readable")),
      ...missing.map((id) => useOf(id, records, "missing"))
    ]
  }
  return status
})

/**
 * Seals every record with the current key that is not, one by one, while workers go on. A record is replaced only if it is still
 * what was read, so what a worker stores meanwhile stays; killed at any moment, it has done a part, and the next run does the
 * rest. `isAll` seals also what is sealed with the current key, after its keeper rotated it under the same name. Fails if
 * records are left in the end, after all the others were done.
 */
export const rotateVault = Effect.fn("vault.rotate")(function* (options: {
  readonly isDryRun: boolean
  readonly isAll: boolean
}) {
  const { keys, list, reseal, store } = yield* SealedRecords
  const { current, given } = yield* keys
  const isOpen = ({ keyId }: SealedRecord) => given.includes(keyId)
  const isDue = ({ isFirstForm, keyId }: SealedRecord) => keyId !== current || isFirstForm
  const first = (yield* list).filter((record) => isOpen(record) && (options.isAll || isDue(record)))
  if (options.isDryRun) {
    return { status: yield* vaultStatus, resealed: first.length, isDryRun: true } satisfies Rotated
  }

  let resealed = 0
  const failures = new Map<string, VaultError>()
  const one = Effect.fnUntraced(function* ({ authorization }: SealedRecord) {
    for (let attempt = 0; attempt < mostTries; attempt++) {
      const result = yield* Effect.result(
        Effect.retry(reseal(authorization), { schedule: again, while: (error) => error.failureClass === "transient" })
      )
      if (result._tag === "Failure") {
        // What cannot be reached for so long cannot be reached for the next record either.
        if (result.failure.failureClass === "transient") return yield* result.failure
        failures.set(authorization, result.failure)
        return
      }
      if (result.success === "resealed") {
        resealed++
        return
      }
      // Somebody stored something newer, most likely with the current key.
      const now = (yield* list).find((record) => record.authorization === authorization)
      if (now === undefined || !isDue(now)) return
    }
  })

  let due = first
  for (let round = 0; round < mostRounds && due.length > 0; round++) {
    yield* Effect.forEach(due, one, { concurrency: 8, discard: true })
    due = (yield* list).filter((record) => isOpen(record) && isDue(record) && !failures.has(record.authorization))
  }

  const status = yield* vaultStatus
  const missing = status.keys.filter(({ records, state }) => state === "missing" && records > 0)
  const problems = [
    ...missing.map(
      ({ keyId, records }) =>
        `${records} record(s) need the key ${keyId}, which is not given (given are ${given.join(", ")}).`
    ),
    ...[...failures.values()].slice(0, 3).map(({ message }) => message),
    ...(due.length === 0
      ? []
      : [
          `${due.length} record(s) are sealed with an older key again and again: a worker still has it in front. Give every worker the key ${current} in front, then run this again.`
        ])
  ]
  if (problems.length > 0) return yield* new NotRotated({ store, problem: problems.join(" "), resealed })
  return { status, resealed, isDryRun: false } satisfies Rotated
})
