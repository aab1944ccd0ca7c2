import type { StageStatus, StreamStatus } from "./Status.ts"
import type { SeenProcess, WorkerProcess } from "./WorkerProcess.ts"
import type { WorkerStatus } from "./WorkerStatus.ts"

/** A worker that has written nothing for so long is gone, milliseconds; it writes every 10 seconds. */
const goneAfter = 60_000

/** State of a stream over all workers that report it. */
export interface MergedStatus extends StreamStatus {
  /** Whoever reported the stream, the latest first; `isLive` says whether that was within the last 60 seconds. */
  readonly workers: ReadonlyArray<{ readonly worker: string; readonly at: number; readonly isLive: boolean }>
}

interface StageReport {
  readonly at: number
  readonly status: StageStatus
}

const sum = (reports: ReadonlyArray<StageReport>, count: (status: StageStatus) => number): number =>
  reports.reduce((total, { status }) => total + count(status), 0)

/** The last report of a problem if there is one, else the last report. */
const telling = (reports: readonly [StageReport, ...ReadonlyArray<StageReport>]): StageStatus => {
  const problems = reports.filter(({ status }) => status.problem !== null)
  const worst = problems.reduce<StageReport | undefined>(
    (last, report) =>
      (report.status.problem?.at ?? 0) > (last?.status.problem?.at ?? Number.NEGATIVE_INFINITY) ? report : last,
    undefined
  )
  return (worst ?? reports[0]).status
}

const mergeStage = (
  all: ReadonlyArray<WorkerStatus>,
  stage: keyof StreamStatus["stages"],
  now: number
): StageStatus | undefined => {
  const [newest, ...rest] = all.flatMap(({ at, stages }): ReadonlyArray<StageReport> => {
    const status = stages[stage]
    return status === undefined ? [] : [{ at, status }]
  })
  if (newest === undefined) return undefined
  // When nobody works on it any more, the last word stays.
  const reports: readonly [StageReport, ...ReadonlyArray<StageReport>] = [
    newest,
    ...rest.filter(({ at }) => now - at <= goneAfter)
  ]
  const { nextAt, problem, state } = telling(reports)
  const latest = reports.reduce((last, report) =>
    (report.status.lastAt ?? 0) > (last.status.lastAt ?? 0) ? report : last
  ).status
  return {
    state,
    problem,
    nextAt,
    records: sum(reports, ({ records }) => records),
    bytes: sum(reports, ({ bytes }) => bytes),
    rejected: sum(reports, ({ rejected }) => rejected),
    batches: sum(reports, ({ batches }) => batches),
    skipped: sum(reports, ({ skipped }) => skipped),
    unmarked: sum(reports, ({ unmarked }) => unmarked),
    ahead: sum(reports, ({ ahead }) => ahead),
    unasked: sum(reports, ({ unasked }) => unasked),
    restarts: sum(reports, ({ restarts }) => restarts),
    lastAt: latest.lastAt,
    freshness: latest.freshness
  }
}

/**
 * Makes one status per stream of what the workers say of it, in the order of connectors and streams. Per stage the state is the
 * last that was reported, but one with a problem goes before those that are fine; counters are summed over the workers that
 * reported within the last 60 seconds. `now` is in milliseconds since 1970.
 */
export const mergeStatus = (entries: Iterable<WorkerStatus>, now: number): ReadonlyArray<MergedStatus> => {
  const streams = new Map<string, Array<WorkerStatus>>()
  for (const entry of entries) {
    const key = `${entry.connector}/${entry.stream}`
    const known = streams.get(key)
    if (known === undefined) streams.set(key, [entry])
    else known.push(entry)
  }
  const inOrder = [...streams].toSorted(([left], [right]) => (left < right ? -1 : 1))
  return inOrder.flatMap(([, reports]) => {
    const all = reports.toSorted((left, right) => right.at - left.at)
    const [newest] = all
    if (newest === undefined) return []
    const source = mergeStage(all, "source", now)
    const transform = mergeStage(all, "transform", now)
    const sink = mergeStage(all, "sink", now)
    // Of each kind the newest, of those who are there; when nobody is any more, the last word stays.
    const telling = all.filter((report) => report === newest || now - report.at <= goneAfter)
    const notices = new Map(
      telling
        .flatMap((report) => report.notices ?? [])
        .toSorted((left, right) => left.at - right.at)
        .map((notice) => [notice.kind, notice])
    )
    return [
      {
        connector: newest.connector,
        stream: newest.stream,
        stages: {
          ...(source === undefined ? {} : { source }),
          ...(transform === undefined ? {} : { transform }),
          ...(sink === undefined ? {} : { sink })
        },
        ...(notices.size === 0 ? {} : { notices: [...notices.values()] }),
        workers: all.map(({ at, worker }) => ({ worker, at, isLive: now - at <= goneAfter }))
      }
    ]
  })
}

/** The processes of all workers, by service and name. `now` is in milliseconds since 1970. */
export const seenProcesses = (processes: Iterable<WorkerProcess>, now: number): ReadonlyArray<SeenProcess> =>
  [...processes]
    .map((entry): SeenProcess => Object.assign({ isLive: now - entry.at <= goneAfter }, entry))
    .toSorted((left, right) => (`${left.service} ${left.worker}` < `${right.service} ${right.worker}` ? -1 : 1))
