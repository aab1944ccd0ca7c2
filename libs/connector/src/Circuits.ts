import type { Http } from "@tributary/domain"
import { Clock, Context, Deferred, Duration, Effect, type Exit, identity, Metric } from "effect"
import { circuitOpen, circuitOpenings } from "./circuitMetrics.ts"
import { HostDown, type SourceReason } from "./SourceError.ts"

/** When a host is given a rest, as `http.circuit_breaker` says. */
export type CircuitSettings = typeof Http.Type.circuit_breaker

/** What a request says of the host: it failed, it is there (whatever it answered), or nothing. */
export type Sign =
  | { readonly _tag: "Failed"; readonly problem: string; readonly retryAfter: number | undefined }
  | { readonly _tag: "Answered" }
  | { readonly _tag: "Unknown" }

/** Told of each change: what is wrong with a host, or nothing any more. */
export type CircuitListener = (host: string, problem: string | undefined) => Effect.Effect<void>

/** Of fewer requests the share says nothing. */
const leastCounted = 20
/** Parts of the time in which the share is counted; the oldest is forgotten as a whole. */
const parts = 10

/** Requests of the last while, and how many of them failed. */
class Tally {
  #from = 0
  #counts: Array<{ total: number; failed: number }> = []

  note(isFailed: boolean, now: number, per: number): void {
    const length = per / parts
    const at = Math.floor(now / length)
    if (at - this.#from >= 2 * parts) this.#counts = []
    if (this.#counts.length === 0) this.#from = at
    while (this.#from + this.#counts.length <= at) this.#counts.push({ total: 0, failed: 0 })
    while (this.#counts.length > parts) {
      this.#counts.shift()
      this.#from++
    }
    const count = this.#counts.at(-1)
    if (count === undefined) return
    count.total++
    if (isFailed) count.failed++
  }
  get total(): number {
    return this.#counts.reduce((sum, { total }) => sum + total, 0)
  }
  get failed(): number {
    return this.#counts.reduce((sum, { failed }) => sum + failed, 0)
  }
  clear(): void {
    this.#counts = []
  }
}

interface Circuit {
  readonly host: string
  readonly tally: Tally
  readonly listeners: Set<CircuitListener>
  /** Failures since the last answer. */
  row: number
  problem: string
  /** Nothing is asked before this time, milliseconds since 1970; `undefined`: the circuit is closed. */
  openUntil: number | undefined
  /** How often it was tried in vain. */
  tries: number
  /** How long it was open last, milliseconds. */
  wait: number
  /** Done when the one request has ended that tries a host whose rest is over. */
  probe: Deferred.Deferred<void> | undefined
}

/** The hosts that requests of this process go to, and which of them are given a rest. */
export interface Circuits {
  /**
   * Sends a request if its host is well. If it is not, waits until its rest is over; then one request tries it, and the others
   * succeed or fail with what that one finds. So a request that fails here has waited, and no stream loses its place.
   */
  readonly guard: <A>(
    host: string,
    settings: CircuitSettings,
    url: string,
    request: Effect.Effect<A, SourceReason>,
    sign: (exit: Exit.Exit<A, SourceReason>) => Sign
  ) => Effect.Effect<A, SourceReason>
  /** Tells of the changes of a host, until the effect that it gives is run. */
  readonly listen: (host: string, listener: CircuitListener) => Effect.Effect<Effect.Effect<void>>
}

const makeCircuits = (): Circuits => {
  const circuits = new Map<string, Circuit>()
  const circuitOf = (host: string): Circuit => {
    let circuit = circuits.get(host)
    if (circuit === undefined) {
      circuit = {
        host,
        tally: new Tally(),
        listeners: new Set(),
        row: 0,
        problem: "",
        openUntil: undefined,
        tries: 0,
        wait: 0,
        probe: undefined
      }
      circuits.set(host, circuit)
    }
    return circuit
  }

  const tell = ({ host, listeners }: Circuit, problem: string | undefined) =>
    Effect.andThen(
      Metric.update(Metric.withAttributes(circuitOpen, { host }), problem === undefined ? 0 : 1),
      Effect.forEach([...listeners], (listener) => listener(host, problem), { discard: true })
    )

  const sentence = ({ host, problem, row }: Circuit, wait: number): string =>
    `${host} failed ${row} times in a row; nothing is asked of it for ${Math.ceil(wait / 1000)} s, then one request tries it. Last: ${problem}`

  const open = Effect.fnUntraced(function* (
    circuit: Circuit,
    settings: CircuitSettings,
    retryAfter: number | undefined,
    now: number
  ) {
    const isFirst = circuit.openUntil === undefined
    const least = Duration.toMillis(settings.wait)
    const most = Duration.toMillis(settings.at_most)
    const own = isFirst ? least : Math.min(Math.max(least, 2 * circuit.wait), most)
    circuit.wait = own
    // What the host asks for is obeyed, up to the longest rest.
    const wait = Math.max(own, Math.min(retryAfter ?? 0, most))
    circuit.openUntil = now + wait
    const message = sentence(circuit, wait)
    if (isFirst) {
      yield* Metric.update(Metric.withAttributes(circuitOpenings, { host: circuit.host }), 1)
      yield* Effect.logWarning(message)
    }
    yield* tell(circuit, message)
  })

  /** Takes note of what a request found. */
  const report = Effect.fnUntraced(function* (
    circuit: Circuit,
    settings: CircuitSettings,
    sign: Sign,
    isProbe: boolean
  ) {
    if (sign._tag === "Unknown") return
    const now = yield* Clock.currentTimeMillis
    const isFailed = sign._tag === "Failed"
    const { tally } = circuit
    tally.note(isFailed, now, Duration.toMillis(settings.per))
    if (!isFailed) {
      circuit.row = 0
      // An answer to a request from before says nothing of now; the one that tries does.
      if (circuit.openUntil === undefined || !isProbe) return
      circuit.openUntil = undefined
      circuit.wait = 0
      tally.clear()
      yield* Effect.logInfo(`${circuit.host} answers again.`)
      yield* tell(circuit, undefined)
      return
    }
    circuit.row++
    circuit.problem = sign.problem
    const isBad =
      circuit.row >= settings.failures || (tally.total >= leastCounted && tally.failed >= settings.share * tally.total)
    if (isProbe) circuit.tries++
    if (circuit.openUntil === undefined ? isBad : isProbe) yield* open(circuit, settings, sign.retryAfter, now)
  })

  /**
   * Whether this request is the one that tries the host; `false`: the host is well. Can be interrupted only while it waits, so that
   * there is never a try that nobody makes.
   */
  const enter = Effect.fnUntraced(function* (
    circuit: Circuit,
    url: string,
    restore: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  ): Effect.fn.Return<boolean, SourceReason> {
    const before = circuit.tries
    for (;;) {
      const { openUntil, probe } = circuit
      if (openUntil === undefined) return false
      // Tried by another meanwhile: whoever waits for it waits for one try, and not for its own.
      if (circuit.tries !== before) {
        return yield* new HostDown({ url, host: circuit.host, failures: circuit.row, problem: circuit.problem })
      }
      if (probe !== undefined) {
        yield* restore(Deferred.await(probe))
        continue
      }
      const now = yield* Clock.currentTimeMillis
      if (openUntil > now) {
        yield* restore(Effect.sleep(openUntil - now))
        continue
      }
      circuit.probe = yield* Deferred.make<void>()
      return true
    }
  })

  const guard: Circuits["guard"] = (host, settings, url, request, sign) =>
    Effect.suspend(() => {
      if (settings.failures === 0) return request
      const circuit = circuitOf(host)
      const through = (isProbe: boolean, restore: typeof identity<typeof request>) =>
        Effect.onExit(restore(request), (exit) => {
          const noted = report(circuit, settings, sign(exit), isProbe)
          if (!isProbe) return noted
          return Effect.andThen(
            noted,
            Effect.suspend(() => {
              const { probe } = circuit
              circuit.probe = undefined
              return probe === undefined ? Effect.void : Deferred.succeed(probe, undefined)
            })
          )
        })
      return circuit.openUntil === undefined
        ? through(false, identity)
        : Effect.uninterruptibleMask((restore) =>
            Effect.flatMap(enter(circuit, url, restore), (isProbe) => through(isProbe, restore))
          )
    })

  const listen: Circuits["listen"] = (host, listener) =>
    Effect.suspend(() => {
      const circuit = circuitOf(host)
      circuit.listeners.add(listener)
      const stop = Effect.sync(() => void circuit.listeners.delete(listener))
      if (circuit.openUntil === undefined) return Effect.succeed(stop)
      return Effect.map(Clock.currentTimeMillis, (now) =>
        listener(host, sentence(circuit, (circuit.openUntil ?? now) - now))
      ).pipe(Effect.flatten, Effect.as(stop))
    })

  return { guard, listen }
}

/** Those of this process: all connectors and streams share what is known of a host. */
export const Circuits: Context.Reference<Circuits> = Context.Reference("@tributary/connector/Circuits", {
  defaultValue: makeCircuits
})
