import { Readable } from "node:stream"
import { Tokens } from "@tributary/oauth"
import { Secrets } from "@tributary/secrets"
import { Clock, Effect, Layer, Redacted } from "effect"
import { Budgets } from "../Budgets.ts"
import { isSuccess, type WireRequest } from "../Exchange.ts"
import type { OpenAnswer } from "../OpenExchange.ts"
import { NotRecorded, type SourceReason } from "../SourceError.ts"
import { Wire, type WireShape } from "../Wire.ts"
import { type Cassette, readBody, type RecordedExchange } from "./Cassette.ts"
import { Cutter, standIn } from "./Cutter.ts"

type Recorded = Cassette["exchanges"][number]
type Fields = RecordedExchange["request"]["headers"]

/** Headers that differ between one run and another, and say nothing about what is asked for. */
const passing = new Set(["user-agent", "accept-encoding", "content-type", "authorization", "dpop", "cookie"])

/** What counts of a request. */
interface Asked {
  readonly method: string
  readonly place: string
  readonly query: ReadonlyArray<readonly [name: string, value: string]>
  readonly body: string
  readonly headers: Fields
}

const asked = (method: string, url: string, headers: Fields, body: string): Asked => {
  const [place = "", query = ""] = url.split("?", 2)
  const pairs = [...new URLSearchParams(query)].toSorted(([a, x], [b, y]) =>
    a === b ? (x < y ? -1 : 1) : a < b ? -1 : 1
  )
  return { method, place, query: pairs, body, headers }
}

const keyOf = ({ body, method, place, query }: Asked): string => JSON.stringify([method, place, query, body])

const shown = (text: string): string => (text.length > 80 ? `${text.slice(0, 80)}…` : text)

/** How two requests differ, in words; the fewer, the nearer they are. */
const differences = (wanted: Asked, has: Asked): ReadonlyArray<string> => {
  const found: Array<string> = []
  if (wanted.method !== has.method) found.push(`the method is ${wanted.method}, recorded is ${has.method}`)
  if (wanted.place !== has.place) found.push(`the address is ${shown(wanted.place)}, recorded is ${shown(has.place)}`)
  const names = new Set([...wanted.query, ...has.query].map(([name]) => name))
  for (const name of names) {
    const of = ({ query }: Asked) => query.filter(([one]) => one === name).map(([, value]) => value)
    const [now, then] = [of(wanted).join(", "), of(has).join(", ")]
    if (of(wanted).length === 0) found.push(`the parameter ${name} is missing, recorded is ${shown(then)}`)
    else if (of(has).length === 0) found.push(`the parameter ${name} is new (${shown(now)})`)
    else if (now !== then) found.push(`the parameter ${name} is ${shown(now)}, recorded is ${shown(then)}`)
  }
  if (wanted.body !== has.body) {
    found.push(`the body is ${shown(wanted.body) || "empty"}, recorded is ${shown(has.body) || "an empty one"}`)
  }
  return found
}

/** Headers by which recorded requests that are else the same are told apart. */
const telling = (candidates: ReadonlyArray<Asked>): ReadonlyArray<string> => {
  const names = new Set(candidates.flatMap(({ headers }) => Object.keys(headers)))
  return [...names].filter(
    (name) => !passing.has(name) && new Set(candidates.map(({ headers }) => JSON.stringify(headers[name]))).size > 1
  )
}

/** How often a request gets its last answer again if that is a failure: who waits for another would wait for ever. */
const mostRepeats = 2

const textOf = (body: Buffer): string => body.toString("utf8")

/**
 * A wire that answers from a cassette. A request gets the answers that it was given, in their order, and then the last one again.
 * Waits that were asked for are not waited for.
 */
const replaying = (cassette: Cassette): WireShape => {
  const cutter = new Cutter()
  const entries = cassette.exchanges.map((exchange) => {
    const { body, headers, method, url } = exchange.request
    const sent = body === undefined ? "" : "omitted" in body ? "" : textOf(readBody(body))
    return { exchange, asked: asked(method, url, headers, sent) }
  })
  const known = new Map<string, Array<(typeof entries)[number]>>()
  for (const entry of entries) {
    const key = keyOf(entry.asked)
    const same = known.get(key)
    if (same === undefined) known.set(key, [entry])
    else same.push(entry)
  }
  const given = new Map<string, number>()
  const walked = new Map<string, number>()

  const find = (wanted: Asked): Recorded | "again" | undefined => {
    const same = known.get(keyOf(wanted)) ?? []
    const by = telling(same.map((entry) => entry.asked))
    const fitting = same.filter((entry) =>
      by.every((name) => JSON.stringify(entry.asked.headers[name]) === JSON.stringify(wanted.headers[name]))
    )
    const key = JSON.stringify([keyOf(wanted), by.map((name) => wanted.headers[name] ?? null)])
    const number = given.get(key) ?? 0
    given.set(key, number + 1)
    const found = (fitting[number] ?? fitting.at(-1))?.exchange
    const isOver = number - fitting.length >= mostRepeats
    return isOver && found !== undefined && !isSuccess(found.answer.status) ? "again" : found
  }

  const miss = (wanted: Asked, url: string): NotRecorded => {
    const [nearest] = entries
      .map(({ asked: has, exchange }) => ({ exchange, differing: differences(wanted, has) }))
      .toSorted((a, b) => a.differing.length - b.differing.length)
    if (nearest === undefined) {
      return new NotRecorded({ url, problem: `${cassette.file} has no exchanges.` })
    }
    const { differing, exchange } = nearest
    const what = differing.length === 0 ? "its headers differ" : differing.join("; ")
    const problem = `this request was not recorded in ${cassette.file}. The nearest is ${exchange.request.method} ${shown(exchange.request.url)} (line ${exchange.line}): ${what}.`
    return new NotRecorded({ url, problem })
  }

  const wanted = ({ body, headers, method, target }: WireRequest): Asked => {
    const sent = body === undefined ? Buffer.alloc(0) : Buffer.from(body)
    const cut = cutter.body(sent)
    return asked(method, cutter.url(target), cutter.headers(headers), "why" in cut ? "" : textOf(cut))
  }

  const send: WireShape["send"] = ({ request, streams, url }) =>
    Effect.suspend((): Effect.Effect<OpenAnswer, SourceReason> => {
      const one = wanted(request)
      const found = find(one)
      if (found === undefined) return Effect.fail(miss(one, url))
      if (found === "again") {
        const problem = `this request is asked again and again, and its last answer in ${cassette.file} is a failure.`
        return Effect.fail(new NotRecorded({ url, problem }))
      }
      const { body, headers, status } = found.answer
      if (body !== undefined && "omitted" in body) {
        const problem = `its answer (line ${found.line} of ${cassette.file}) was recorded without its body: ${body.why}.`
        return Effect.fail(new NotRecorded({ url, problem }))
      }
      const bytes = readBody(body)
      const fields: Record<string, string | Array<string>> = {}
      for (const [name, value] of Object.entries(headers)) {
        if (/rate-?limit/u.test(name)) continue
        fields[name] = name === "retry-after" ? "0" : typeof value === "string" ? value : [...value]
      }
      return Effect.succeed(
        streams && isSuccess(status)
          ? { status, headers: fields, body: Buffer.alloc(0), stream: Readable.from(bytes.length === 0 ? [] : [bytes]) }
          : { status, headers: fields, body: bytes, stream: undefined }
      )
    })

  return {
    send,
    isOffline: true,
    startedAt: (stream) =>
      Effect.suspend(() => {
        const times = cassette.walks.get(stream) ?? []
        const number = walked.get(stream) ?? 0
        walked.set(stream, number + 1)
        const at = times[number] ?? times.at(-1)
        return at === undefined ? Clock.currentTimeMillis : Effect.succeed(at)
      })
  }
}

const reference = /\$\{[^}]*\}/gu

/**
 * All that a connector needs to run on a cassette: its answers, and what stands in it for each reference. Nothing is asked, neither
 * the API nor an authorization server nor a store of secrets. Each use begins at the cassette's beginning.
 */
export const layerReplay = (cassette: Cassette): Layer.Layer<Secrets | Tokens | Budgets> => {
  const of = (one: string) => cassette.references[one] ?? standIn
  const secrets = Layer.succeed(
    Secrets,
    Secrets.of({
      secret: (one) => Effect.succeed(Redacted.make(of(one))),
      text: (template) => Effect.succeed(template.replaceAll(reference, of)),
      renew: () => Effect.succeed("unchanged")
    })
  )
  const tokens = Layer.succeed(
    Tokens,
    Tokens.of({ manager: () => Effect.die("A replay asked for a token; nothing goes out in one.") })
  )
  return Layer.mergeAll(
    secrets,
    tokens,
    Budgets.layer,
    Layer.sync(Wire, () => replaying(cassette))
  )
}
