import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { kill } from "node:process"
import {
  ClickHouseServer,
  type Encoded,
  type InsertPlan,
  type Table,
  type TableSpec,
  Warehouse,
  type WarehouseError
} from "@tributary/clickhouse"
import { rejectedHeaders } from "@tributary/domain"
import { type Claim, Log, type NewRecord, SqliteLog } from "@tributary/log"
import { layerMemory, valueDecoder } from "@tributary/schema-registry"
import { Status } from "@tributary/telemetry"
import { Deferred, Duration, Effect, Fiber, Layer, Logger, Schedule } from "effect"
import { type LoaderOptions, loadPartition } from "../src/PartitionLoader.ts"

const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "sink-test-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

/** Whether a position has no range in flight: no plan is beside it. */
export const isAcknowledged = (metadata: string | undefined): boolean =>
  metadata !== undefined && !metadata.includes('"first"')

/** A real ClickHouse server in a directory of its own, and a log that may be there, too. What goes wrong on purpose is not logged. */
export const engineWith = <E>(log: (directory: string) => Layer.Layer<Log, E>) =>
  Layer.unwrap(
    Effect.map(temporaryDirectory, (directory) =>
      Layer.mergeAll(
        Warehouse.layerEmbeddedNoDeps.pipe(
          Layer.provideMerge(ClickHouseServer.layer({ directory: join(directory, "clickhouse") }))
        ),
        log(directory),
        layerMemory,
        Status.layer
      )
    )
  ).pipe(Layer.provideMerge(Logger.layer([])))

export const Engine = engineWith((directory) => SqliteLog.layer({ directory: join(directory, "log") }))

/** Milliseconds since 1970. */
export const wallClock = (): number => performance.timeOrigin + performance.now()

/** Waits until `check` is true; fails when what `look` sees has not changed for 90 seconds, or after three minutes. */
export const until = <A, E, R>(look: Effect.Effect<A, E, R>, check: (found: A) => boolean): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const last = wallClock() + 180_000
    let seen = ""
    let end = 0
    for (;;) {
      const found = yield* look
      if (check(found)) return found
      const text = JSON.stringify(found)
      if (text !== seen) end = Math.min(last, wallClock() + 90_000)
      seen = text
      if (wallClock() > end) return yield* Effect.die(new Error(`Waited in vain; last seen: ${text}`))
      yield* Effect.sleep("5 millis")
    }
  })

/** Kills the ClickHouse server as `kill -9` does, and waits until its supervisor has started another. */
export const killServer = Effect.gen(function* () {
  const server = yield* ClickHouseServer
  const pid = yield* server.pid
  yield* Effect.sync(() => kill(pid, "SIGKILL"))
  yield* until(server.pid, (now) => now !== pid)
})

/** Moments in the work of a loader. */
export type Step =
  | "before plan"
  | "after plan"
  | "before insert"
  | "during insert"
  | "after insert"
  | "before dead"
  | "after dead"
  | "before ack"
  | "after ack"

export const steps: ReadonlyArray<Step> = [
  "before plan",
  "after plan",
  "before insert",
  "during insert",
  "after insert",
  "before dead",
  "after dead",
  "before ack",
  "after ack"
]

/** What a test puts between a loader and the world. */
export interface Hooks {
  /** Runs at every step. */
  readonly at?: (step: Step) => Effect.Effect<void>
  /** Replaces an insert. */
  readonly insert?: (
    plan: InsertPlan,
    encoded: Encoded,
    real: Effect.Effect<void, WarehouseError>
  ) => Effect.Effect<void, WarehouseError>
  /** Sees every claim that is given. */
  readonly claim?: (claim: Claim) => Claim
}

const hooked = (hooks: Hooks) => {
  const at = hooks.at ?? (() => Effect.void)
  const around = <A, E, R>(name: "plan" | "insert" | "dead" | "ack", effect: Effect.Effect<A, E, R>) =>
    at(`before ${name}`).pipe(Effect.andThen(effect), Effect.tap(at(`after ${name}`)))
  const claim = (real: Claim): Claim => {
    const given = hooks.claim?.(real) ?? real
    return {
      ...given,
      commit: (offset, metadata) => around(isAcknowledged(metadata) ? "ack" : "plan", given.commit(offset, metadata))
    }
  }
  const table = (real: Table): Table => ({
    ...real,
    insert: (plan, encoded) => {
      const insert = real.insert(plan, encoded)
      const crash = Effect.delay(Effect.andThen(at("during insert"), Effect.never), "2 millis")
      const during = Effect.raceFirst(insert, crash)
      return around("insert", hooks.insert?.(plan, encoded, insert) ?? during)
    }
  })
  return { around, claim, table }
}

export interface Setting {
  readonly name: string
  readonly spec: TableSpec
  readonly options: LoaderOptions
  readonly topic: string
  readonly group: string
}

/** A topic, its dead-letter topic, and how they are loaded. */
export const setting = Effect.fnUntraced(function* (
  name: string,
  more: {
    readonly partitions?: number
    readonly spec?: Partial<TableSpec>
    readonly options?: Partial<LoaderOptions>
  } = {}
) {
  const log = yield* Log
  const topic = `shop.${name}`
  yield* log.ensureTopic({ name: topic, partitions: more.partitions ?? 1 })
  yield* log.ensureTopic({ name: `dead.${topic}`, partitions: 1 })
  const spec: TableSpec = {
    database: "shop",
    table: name,
    mode: "append",
    orderBy: ["id"],
    schema: { id: "int64", name: "string" },
    views: {},
    ...more.spec
  }
  const options: LoaderOptions = {
    table: `shop.${name}`,
    deadTopic: `dead.${topic}`,
    maxRows: 10,
    maxBytes: 1_000_000,
    flushEvery: Duration.millis(20),
    retries: 1000,
    ...more.options
  }
  return { name, topic, group: `sink.${name}`, spec, options } satisfies Setting
})

/** Runs loaders of a setting until interrupted. */
export const run = Effect.fnUntraced(function* (place: Setting, hooks: Hooks = {}) {
  const log = yield* Log
  const warehouse = yield* Warehouse
  const reporter = yield* (yield* Status).reporter("shop", place.name, "sink")
  const { around, claim: hookedClaim, table } = hooked(hooks)
  const decoder = yield* valueDecoder
  return yield* log.consume({ group: place.group, topics: [place.topic] }, (claim) =>
    Effect.scoped(
      Effect.gen(function* () {
        const producer = yield* log.producer(`${place.group}/${claim.partition}`)
        return yield* loadPartition(
          hookedClaim(claim),
          { transact: (transaction) => around("dead", producer.transact(transaction)) },
          (sample) => Effect.map(warehouse.ensureTable(place.spec, sample), table),
          reporter,
          place.options,
          0,
          decoder
        )
      })
    )
  )
})

/** Runs loaders and kills them at the `n`-th time that a step is reached; without that step, when all is done. */
export const runUntil = Effect.fnUntraced(function* (place: Setting, step: Step, n: number) {
  const reached = yield* Deferred.make<void>()
  let times = 0
  const at = (now: Step) =>
    Effect.suspend(() =>
      now === step && ++times >= n ? Effect.andThen(Deferred.succeed(reached, undefined), Effect.never) : Effect.void
    )
  const fiber = yield* Effect.forkChild(run(place, { at }))
  yield* Effect.raceFirst(Deferred.await(reached), Effect.raceFirst(settled(place), Fiber.join(fiber)))
  yield* Fiber.interrupt(fiber)
  return times >= n
})

/** Runs loaders until everything is loaded and acknowledged. */
export const finish = Effect.fnUntraced(function* (place: Setting, hooks: Hooks = {}) {
  const fiber = yield* Effect.forkChild(run(place, hooks))
  yield* Effect.raceFirst(settled(place), Fiber.join(fiber))
  yield* Fiber.interrupt(fiber)
})

/** Runs loaders until one fails, which it must, and returns its error. */
export const failureOf = (place: Setting, hooks: Hooks = {}) =>
  Effect.flip(
    Effect.timeoutOrElse(run(place, hooks), { duration: "90 seconds", orElse: () => Effect.die("no failure") })
  )

/** Waits until the group's position is the end of each partition, with no plan. */
export const settled = (place: Setting) =>
  until(
    Effect.gen(function* () {
      const log = yield* Log
      const offsets = yield* log.offsets(place.topic)
      const positions = yield* log.positions(place.group)
      return offsets.map(({ end, partition }) => ({
        partition,
        end,
        position: positions.find((one) => one.topic === place.topic && one.partition === partition)
      }))
    }),
    (partitions) =>
      partitions.every(
        ({ end, position }) => end === 0 || (position?.offset === end && isAcknowledged(position.metadata))
      )
  )

export const publish = Effect.fnUntraced(function* (place: Setting, values: ReadonlyArray<string>, partition = 0) {
  const log = yield* Log
  const records: ReadonlyArray<NewRecord> = values.map((value) => ({
    topic: place.topic,
    partition,
    key: null,
    value: Buffer.from(value)
  }))
  return yield* log.publish(records)
})

/** Records of all offsets from `from`: every one that `isBad` chooses does not fit the table. */
export const rows = (from: number, count: number, isBad: (n: number) => boolean = () => false): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, k) => {
    const n = from + k
    return isBad(n) ? `{"id":"bad ${n}","name":"n${n}"}` : `{"id":${n},"name":"n${n}"}`
  })

export const query = (sql: string) => Effect.flatMap(Warehouse, (warehouse) => warehouse.query(sql))

/** Offsets and ids of the rows of a partition, in order; none before there is a table. Rows of other topics are left out. */
export const stored = Effect.fnUntraced(function* (place: Setting, partition = 0) {
  const found = yield* Effect.catchIf(
    query(
      `SELECT _offset, id FROM shop.${place.spec.table} WHERE _topic = '${place.topic}' AND _partition = ${partition} ORDER BY _offset, id`
    ),
    ({ reason }) => reason._tag === "Misconfigured" && (reason.code === 60 || reason.code === 81),
    () => Effect.succeed([])
  )
  return found.map((row) => `${String(row["_offset"])}:${String(row["id"])}`)
})

/** Offsets with reasons in the dead-letter topic, in order. */
export const dead = Effect.fnUntraced(function* (place: Setting) {
  const log = yield* Log
  const { records } = yield* log.read(place.options.deadTopic, 0, 0, {
    maxRecords: 100_000,
    maxBytes: 100_000_000,
    wait: Duration.zero
  })
  return records.map(({ headers, value }) => ({
    offset: Number(headers[rejectedHeaders.offset]),
    code: headers[rejectedHeaders.code],
    reason: headers[rejectedHeaders.reason] ?? "",
    stage: headers[rejectedHeaders.stage],
    topic: headers[rejectedHeaders.topic],
    partition: headers[rejectedHeaders.partition],
    value: value === null ? null : Buffer.from(value).toString()
  }))
})

/** What `stored` finds when the offsets up to `end` but the bad ones are loaded, each once, where offset and id are the same. */
export const expected = (end: number, isBad: (n: number) => boolean = () => false): ReadonlyArray<string> =>
  Array.from({ length: end }, (_, n) => n)
    .filter((n) => !isBad(n))
    .map((n) => `${n}:${n}`)

/** Makes a table forget the tokens of all inserts before. */
export const overflow = Effect.fnUntraced(function* (place: Setting) {
  const warehouse = yield* Warehouse
  const table = yield* warehouse.ensureTable(place.spec, [])
  const run = Math.random().toString(36)
  for (let k = 0; k < (place.spec.dedupWindow ?? 0) + 2; k++) {
    const plan = { topic: "other", topicId: run, partition: 0, first: k, last: k, plannedAt: wallClock() }
    yield* table
      .insert(plan, table.encode([{ offset: k, value: Buffer.from(`{"id":${k},"name":"other"}`) }]))
      .pipe(
        Effect.retry({ schedule: Schedule.spaced("20 millis"), while: (error) => error.failureClass === "transient" })
      )
  }
})
