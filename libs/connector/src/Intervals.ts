import type { Incremental } from "@tributary/domain"
import { Duration, Effect } from "effect"
import type { CursorState } from "./Checkpoint.ts"
import { ceilTo, floorTo } from "./Calendar.ts"
import { lookBack, type Mark, mostAhead, readMark, timeText } from "./Mark.ts"
import type { Interval } from "./slots/index.ts"
import { BadSetting } from "./SourceError.ts"
import { timeFormat } from "./TimeFormat.ts"

/** What a form of times may cut off: a second, a minute, an hour, a day, a month. */
const grains = [0, 1000, 60_000, 3_600_000, 86_400_000, 31 * 86_400_000]

/** What the walks of a stream with `incremental` ask for. */
export class Intervals {
  readonly #incremental: Incremental
  readonly #setting: string
  readonly #start: string | undefined

  constructor(incremental: Incremental, setting: string, start: string | undefined) {
    this.#incremental = incremental
    this.#setting = setting
    this.#start = start
  }

  /** A value as it was sent, or as a record has it. */
  mark(text: string | undefined): Mark | undefined {
    if (text === undefined) return undefined
    const { param_format: format, type } = this.#incremental
    const read = type === "timestamp" && format !== undefined ? timeFormat(format).read(text) : undefined
    return read === undefined ? readMark(text, this.#incremental) : { text, order: read.millis, fine: read.fine }
  }

  /** The interval after `previous` (`undefined`: the first) of a walk that began at `startedAt`. */
  after(
    state: CursorState,
    startedAt: number,
    previous: Interval | undefined
  ): Effect.Effect<Interval | undefined, BadSetting> {
    const { step } = this.#incremental
    if (previous !== undefined && (step === undefined || previous.until === undefined)) return Effect.undefined
    return Effect.suspend((): Effect.Effect<Interval | undefined, BadSetting> => {
      const from = previous === undefined ? this.#from(state, startedAt) : previous.until
      if (from instanceof BadSetting) return Effect.fail(from)
      if (step === undefined) {
        const since = from === undefined ? undefined : this.#sent(from)
        return since instanceof BadSetting ? Effect.fail(since) : Effect.succeed({ since })
      }
      const begin = this.mark(from)
      if (begin === undefined) {
        const problem = "windows need a time to begin with, and there is none yet. Add `start`."
        return Effect.fail(new BadSetting({ setting: this.#setting, problem }))
      }
      return Effect.succeed(this.#window(Number(begin.order), Duration.toMillis(step), startedAt, previous))
    })
  }

  /** The rest of an interval of which the API has shown as much as it does, up to `maxSeen`; `undefined`: it cannot be told where it begins. */
  restarted(maxSeen: string | undefined, previous: Interval): Interval | undefined {
    if (maxSeen === undefined) return undefined
    const since = this.#sent(maxSeen)
    return since instanceof BadSetting || since === previous.since ? undefined : { ...previous, since }
  }

  /** The value from which a new walk reads. */
  #from({ cursor }: CursorState, startedAt: number): string | undefined | BadSetting {
    if (cursor === undefined) return this.#start
    const mark = readMark(cursor, this.#incremental)
    // Where the true end was is not known any more, and nothing may be left out.
    if (mark !== undefined && mark.order > startedAt + mostAhead(this.#incremental)) return this.#start
    if (mark !== undefined) return lookBack(mark, this.#incremental)
    const { type } = this.#incremental
    return new BadSetting({
      setting: `${this.#setting}.type`,
      problem: `the last value seen is ${JSON.stringify(cursor)}, which is no ${type}. Correct the type, or reset the stream.`
    })
  }

  /** A value as the parameter takes it, never later than it is. */
  #sent(text: string): string | BadSetting {
    const { format, param_format: own, type } = this.#incremental
    const wanted = type === "timestamp" ? (own ?? format) : undefined
    if (wanted === undefined || timeFormat(wanted).read(text) !== undefined) return text
    const mark = this.mark(text)
    if (mark !== undefined) return timeFormat(wanted).write(Number(mark.order))
    // What a reference stands for may be a secret.
    const shown = text === this.#start ? (this.#incremental.start ?? text) : text
    return new BadSetting({
      setting: this.#setting,
      problem: `${JSON.stringify(shown)} is no time of the form ${wanted} and none of RFC 3339. Correct \`start\` or the format.`
    })
  }

  #write(millis: number): string {
    const { format, param_format: own } = this.#incremental
    const wanted = own ?? format
    return wanted === undefined ? timeText(millis) : timeFormat(wanted).write(millis)
  }

  /** The text of a time that is not before `millis`, though its form may have no seconds. */
  #writeUp(millis: number): string {
    for (const grain of grains) {
      const text = this.#write(millis + grain)
      const read = this.mark(text)
      if (read !== undefined && Number(read.order) >= millis) return text
    }
    return this.#write(millis)
  }

  #window(begin: number, step: number, startedAt: number, previous: Interval | undefined): Interval | undefined {
    const { clamp } = this.#incremental
    if (previous !== undefined && begin >= startedAt) return undefined
    const since = clamp === undefined ? begin : floorTo(clamp, begin)
    // A walk asks at least once: the API's clock may be ahead of ours.
    const end = begin >= startedAt ? begin + step : Math.min(since + step, startedAt)
    // A window that is shorter than the smallest that can be written would be asked for again and again.
    const least = Math.max(end, begin + 1)
    const until = this.#writeUp(clamp === undefined ? least : ceilTo(clamp, least))
    return { since: previous === undefined || clamp !== undefined ? this.#write(since) : (previous.until ?? ""), until }
  }
}
