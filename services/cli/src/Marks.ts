import type { Connector, SourceStream } from "@tributary/domain"
import type { StreamStatus } from "@tributary/telemetry"
import { Duration } from "effect"
import { count } from "./Format.ts"

/** What is odd about the values of an incremental field, counted. */
export interface Marks {
  /** Records without a usable value. */
  readonly unmarked: number
  /** Records whose time is further ahead of the clock than `incremental.ahead`. */
  readonly ahead: number
  /** Records older than what was asked for, and published. */
  readonly unasked: number
}

const records = (n: number): string => `${count(n)} record${n === 1 ? "" : "s"}`

/** What is odd about the incremental field of a stream's records, in sentences; `all` is how many records there were. */
export const describeMarks = (
  { incremental }: Pick<SourceStream, "incremental">,
  { ahead, unasked, unmarked }: Marks,
  all: number
): ReadonlyArray<string> => {
  if (incremental === undefined || !("field" in incremental)) return []
  const { field, format, param, type } = incremental
  const said: Array<string> = []
  if (unmarked > 0) {
    const who = unmarked >= all ? "no record has" : `${count(unmarked)} of ${records(all)} do not have`
    said.push(
      `${who} a ${type} in ${field} (incremental.field): such records are published, but what is read next does not begin behind them. Correct the field or its ${format === undefined ? "type" : "format"}.`
    )
  }
  if (ahead > 0) {
    said.push(
      `${records(ahead)} with a time in ${field} more than ${Duration.format(incremental.ahead ?? Duration.days(1))} ahead of this clock: published, but what is read next does not begin there (incremental.ahead). Correct the time at the API, or raise the setting.`
    )
  }
  if (unasked > 0) {
    said.push(
      param === undefined
        ? `${records(unasked)} older than the value to read from, which the API sends all the same: what lies further back than incremental.window is published at every poll. Set \`filter: true\` to leave it out, or \`window\` to as much as the API sends again.`
        : `${records(unasked)} older than what \`${param}\` asked for: the API ignores or rounds it, and what lies further back than incremental.window is published at every poll. Correct \`param\`, or set \`window\` to as much as the API sends again.`
    )
  }
  return said
}

/** What is odd about the incremental fields of all streams, by what their sources counted. */
export const oddMarks = (
  connectors: ReadonlyArray<{ readonly connector: Connector }>,
  statuses: ReadonlyArray<Pick<StreamStatus, "connector" | "stream" | "stages">>
): ReadonlyArray<{ readonly stream: string; readonly sentence: string }> =>
  statuses.flatMap(({ connector, stages, stream }) => {
    const owner = connectors.find((one) => one.connector.connector === connector)?.connector
    const settings = Object.entries(owner?.streams ?? {}).find(([name]) => name === stream)?.[1]
    if (settings === undefined || stages.source === undefined) return []
    const { records: read, rejected, skipped } = stages.source
    return describeMarks(settings, stages.source, read + rejected + skipped).map((sentence) => ({
      stream: `${connector}/${stream}`,
      sentence
    }))
  })
