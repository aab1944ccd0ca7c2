import { smallestSize, sizeOfRecords, type SyntheticSettings } from "@tributary/testkit"
import { Clock, Duration, Effect, Fiber } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { pid } from "node:process"
import { apiFaults, type FaultDone, killWorkers } from "./Faults.ts"
import { findKnee } from "./Knee.ts"
import { type LoadApi, startLoadApi } from "./LoadApi.ts"
import type { LoadEngine } from "./LoadEngine.ts"
import { describeOptions, type LoadOptions, problemOf } from "./LoadOptions.ts"
import type { LoadResult, LoadSample, Verification } from "./LoadResult.ts"
import { apiOf, awaitArrival, awaitPolls, type LoadScreen, type LoadSession, problemsOf } from "./LoadSession.ts"
import { answering, folders, registered, runName, secretOf, startWorkers } from "./LoadSetup.ts"
import { connectorFiles, loadStreams } from "./LoadStreams.ts"
import { checkMemory, checkSpace, machine, prepareReport, writeReport } from "./Machine.ts"
import { bestRate, loadedBy, measure, offeredBy } from "./Measure.ts"
import { lookAtOwn, noteServers, type OwnProcess, runningUse, thinned, UseRecorder } from "./ProcessUse.ts"
import { progressLine } from "./LoadText.ts"
import { reasonOf } from "./reasonOf.ts"
import { renderReport } from "./report/index.ts"
import { verifyStream } from "./Verify.ts"
import { Watch } from "./Watch.ts"
import type { Death } from "./Workers.ts"

/** Bytes of a page, about. */
const pageBytes = 400_000
const largestPage = 1_000
/** Time for what should not come any more. */
const settle = Duration.seconds(1)
const mostSamples = 600
/** Where no line can be replaced, one is written once in so many seconds. */
const noteEvery = 10
/** The rate that is shown is that of so many seconds. */
const rateSeconds = 5
/** Records have numbers of ten digits. */
const mostNumbers = 9_000_000_000
const mostPerStream = 1_000_000_000

/** Looks once a second at what the chain does and uses. Fails when the test cannot go on. */
const observe = Effect.fnUntraced(function* (session: LoadSession, moments: Array<number>) {
  const { api, data, engine, options, recorder, screen, watch, workers } = session
  const own: ReadonlyArray<OwnProcess> = [
    ...workers.map(({ name, pid }) => ({
      name,
      pid,
      child: engine.kind === "embedded" ? "clickhouse (embedded)" : undefined
    })),
    { name: "synthetic API", pid: () => api.pid, child: undefined },
    { name: "load test", pid: () => pid, child: undefined }
  ]
  /** What servers and workers elsewhere say of themselves may take a while, and may not come at all. */
  const others = Effect.gen(function* () {
    for (;;) {
      yield* Effect.ignore(
        Effect.timeout(
          Effect.flatMap(engine.serverUse, (uses) => noteServers(recorder, uses)),
          "5 seconds"
        )
      )
      if (options.workers === "running") {
        const uses = yield* runningUse.pipe(
          Effect.provide(engine.beside(data), { local: true }),
          Effect.timeout("5 seconds"),
          Effect.orElseSucceed(() => [])
        )
        for (const { at, life, name, ...use } of uses) recorder.add(name, life, use, at, true)
      }
      yield* Effect.sleep("2 seconds")
    }
  })
  yield* Effect.forkChild(others)
  /** Rows as of the last seconds. */
  const rows: Array<number> = [0]
  for (;;) {
    const now = yield* Clock.currentTimeMillis
    moments.push(now)
    yield* lookAtOwn(recorder, own)
    if (engine.kind === "embedded") yield* checkSpace(data)
    const stats = yield* api.stats
    const line = progressLine({
      begun: session.begun,
      now,
      stats,
      rows: watch.rows,
      before: rows[0] ?? 0,
      seconds: rows.length,
      use: recorder.total()
    })
    rows.push(watch.rows)
    if (rows.length > rateSeconds) rows.shift()
    yield* screen.progress(line)
    if (!screen.isTerminal && moments.length % noteEvery === 0) yield* screen.note(line)
    yield* Effect.sleep("1 second")
  }
})

/**
 * A load test: an API offers records, workers carry them through the chain, and every one is compared afterwards. Ends by itself;
 * with the scope of this effect everything that it has started ends and is removed.
 */
export const runLoad = Effect.fn("load.run")(function* (engine: LoadEngine, options: LoadOptions, screen: LoadScreen) {
  const wrong = problemOf(options, engine.kind === "embedded")
  if (wrong !== undefined) return yield* wrong
  const { report, workers } = options
  const secret = yield* secretOf(options)
  if (report !== undefined) yield* prepareReport(report)
  const run = yield* runName
  const startedAt = yield* Clock.currentTimeMillis
  const until = startedAt + Duration.toMillis(options.longest)
  const folder = yield* folders(options.keep)
  const data = join(folder, "data")
  const own = workers === "running" ? 0 : workers.source + workers.transform + workers.sink
  yield* checkMemory(engine.kind === "embedded" ? 1 : own, engine.kind === "embedded", options.records)
  yield* checkSpace(folder)

  const count = options.connectors * options.streams
  const perStream = options.findKnee
    ? Math.min(mostPerStream, Math.floor(mostNumbers / count))
    : Math.ceil(options.records / count)
  const pageSize = Math.max(
    1,
    Math.min(largestPage, Math.floor(pageBytes / Math.max(options.recordSize, smallestSize / 2)))
  )
  const settings: Partial<SyntheticSettings> = {
    records: 0,
    streams: count,
    span: perStream,
    pageSize: options.recordSize === 0 ? largestPage : pageSize,
    recordSize: options.recordSize,
    latency: Duration.toMillis(options.latency),
    ...(options.faults ? apiFaults : {})
  }
  const api: LoadApi = yield* startLoadApi({ ...options.listen, secret, settings })
  const url = options.url ?? api.url
  const streams = loadStreams(run, options, perStream)
  yield* Effect.sync(() => {
    for (const [name, text] of connectorFiles(run, options, streams, url)) {
      writeFileSync(join(folder, "connectors", name), text)
    }
  })
  if (engine.kind === "servers") {
    yield* Effect.provide(answering, engine.beside(data), { local: true })
    yield* registered(run, engine, options, streams, join(folder, "connectors"), screen)
  }
  const watch = new Watch(streams)
  const faults: Array<FaultDone> = []
  const deaths: Array<Death> = []
  const started = yield* startWorkers(run, engine, options, folder, secret, (death) => {
    deaths.push(death)
    faults.push({ at: death.at, what: `${death.worker} ended by itself (${death.how})` })
  })
  yield* screen.note(
    `${run}: ${count} stream(s) at ${url}; ${started.length === 0 ? "workers that run" : started.map(({ name }) => name).join(", ")}`
  )
  yield* awaitPolls({ api, data, engine, options, streams, watch, workers: started, url })

  const begun = yield* Clock.currentTimeMillis
  const recorder = new UseRecorder(begun)
  const session: LoadSession = {
    run,
    options,
    engine,
    screen,
    data,
    streams,
    api,
    workers: started,
    watch,
    recorder,
    begun
  }
  const watching = yield* Effect.forkScoped(watch.run(engine.beside(data)))
  const moments: Array<number> = []
  const killing = options.faults
    ? killWorkers(
        started,
        options.killEvery,
        () => watch.changedAt,
        (fault) =>
          Effect.andThen(
            Effect.sync(() => void faults.push(fault)),
            screen.note(fault.what)
          )
      )
    : Effect.never
  const offering = Effect.gen(function* () {
    if (options.findKnee) {
      const knee = yield* findKnee(session, perStream, until)
      const offered = (yield* api.offers).records
      return { knee, arrival: yield* awaitArrival(session, offered, until + 120_000), perStream: offered }
    }
    yield* api.set({ records: perStream, rate: options.rate / count })
    return { knee: undefined, arrival: yield* awaitArrival(session, perStream, until), perStream }
  })
  const {
    arrival,
    knee,
    perStream: offered
  } = yield* Effect.raceFirst(Effect.raceFirst(offering, killing), observe(session, moments))
  yield* Effect.sleep(settle)
  if (options.faults && started.length > 0 && faults.length === 0) {
    yield* screen.note(
      `No worker was killed: everything had arrived before the first was due (--kill-every ${Duration.format(options.killEvery)}).`
    )
  }
  const problems = arrival === "all" ? [] : yield* problemsOf(session)
  const offers = yield* api.offers
  const stats = yield* api.stats
  yield* Fiber.interrupt(watching)
  yield* watch.finish(engine.beside(data))
  moments.push(yield* Clock.currentTimeMillis)
  yield* screen.progress("")
  yield* screen.note("comparing every record")
  yield* Effect.forEach(started, ({ stop }) => stop, { concurrency: "unbounded" })

  // What had been published at each look is counted while the topics are read.
  const published = new Float64Array(watch.ends.length)
  const verification: Array<Verification> = []
  yield* Effect.gen(function* () {
    for (const [at, stream] of streams.entries()) {
      yield* screen.progress(`comparing ${stream.connector}/${stream.stream} (${at + 1} of ${streams.length})`)
      const ends = watch.ends.map((look) => look.ends[stream.number] ?? [])
      verification.push(...(yield* verifyStream(stream, offered, { ends, counts: published })))
    }
  }).pipe(Effect.provide(engine.after(data), { local: true }))
  yield* screen.progress("")

  const measured = measure(watch, offers, () => [0, offered], begun, moments)
  const loaded = loadedBy(measured, begun)
  let look = 0
  const samples: ReadonlyArray<LoadSample> = moments.map((at, sample) => {
    while (look + 1 < watch.ends.length && watch.ends[look + 1]!.at <= at) look++
    return {
      at: at - begun,
      offered: offeredBy(offers, streams, offered, at),
      published: (watch.ends[look]?.at ?? Number.POSITIVE_INFINITY) <= at ? published[look]! : 0,
      loaded: loaded(at),
      lag: Math.round(measured.lags[sample]!)
    }
  })
  const duration = Math.max(0, measured.lastSeen - Math.min(measured.firstOffered, measured.lastSeen))
  const reason = reasonOf({ arrival, verification, deaths, problems, options })
  const result: LoadResult = {
    outcome: reason === null ? "ok" : arrival === "all" ? "failed" : "incomplete",
    reason,
    startedAt: begun,
    engine: engine.kind,
    workers: workers === "running" ? "running" : "own",
    settings: describeOptions(options, engine.kind === "embedded"),
    machine: machine(),
    records: offered * count,
    bytes: streams.reduce((sum, { first }) => sum + sizeOfRecords(first, offered, options.recordSize), 0),
    duration,
    throughput: {
      mean: duration === 0 ? 0 : (measured.rows * 1_000) / duration,
      best: bestRate(measured)
    },
    freshness: measured.freshness.result(),
    samples: thinned(samples, mostSamples),
    processes: recorder.result(),
    api: apiOf(stats),
    faults: faults.map(({ at, what }) => ({ at: at - begun, what })),
    verification,
    knee
  }
  if (report !== undefined) {
    yield* writeReport(report, {
      "load.json": `${JSON.stringify(result, undefined, 2)}\n`,
      "load.html": renderReport(result)
    })
  }
  if (options.keep) {
    yield* screen.note(
      `Kept: ${folder}${engine.kind === "servers" ? `, the database ${run}, and connectors and topics with ${run} in their names` : ""}.`
    )
  }
  return result
}, Effect.scoped)
