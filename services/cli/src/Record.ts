import { Cutter, layerReplay, makeRecorder, readCassette, recut, Wire } from "@tributary/connector"
import { Secrets } from "@tributary/secrets"
import { TokenStore } from "@tributary/vault"
import { Effect, FileSystem, Option, Path, Redacted, Result, Schema } from "effect"
import { choose, type Choice, noteSent } from "./Chosen.ts"
import { why } from "./ConnectorFiles.ts"
import type { LoadedConnector } from "./ConnectorFiles.ts"
import { bytes, count, printable } from "./Format.ts"
import { referencesOf } from "./References.ts"
import { NoCassette, type Walked, walkOf } from "./Replay.ts"
import { Screen } from "./Screen.ts"

export interface RecordOptions extends Choice {
  readonly to: string
  /** Most answers of the API that are kept of one stream. */
  readonly answers: number
  /** Largest body that is kept, in bytes. */
  readonly body: number
  /** References whose values are no secrets. */
  readonly keep: ReadonlyArray<string>
  readonly overwrite: boolean
  readonly json: boolean
}

/** Not every stream was recorded as it was read; which has been printed. */
export class RecordFailed extends Schema.TaggedError<RecordFailed>()("RecordFailed", { streams: Schema.Natural }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `${count(this.streams)} stream(s) could not be recorded whole. The cassette has what was answered.`
  }
}

/** Settings that hold no secrets, and whose values a replay needs. */
const open = /^(http\.base_url|streams\.[^.]+\.(address|incremental\.start))$/u

/** The values that are to be cut, and what stands for each reference. */
const secretsOf = Effect.fnUntraced(function* (
  { base, connector }: LoadedConnector,
  keep: ReadonlyArray<string>,
  cutter: Cutter
) {
  const secrets = yield* Secrets
  const references: Record<string, string> = {}
  const kept = new Set(keep.map((name) => (name.startsWith("${") ? name : `\${${name}}`)))
  const known = referencesOf(connector)
  for (const name of kept) {
    if (known.has(name)) continue
    const there = [...known.keys()].join(", ")
    return yield* new NoCassette({
      path: "--keep",
      problem: `the connector has no reference ${name}; it has ${there === "" ? "none" : there}.`
    })
  }
  for (const [reference, paths] of known) {
    // What cannot be resolved here is said by the stream that needs it.
    const found = yield* Effect.result(secrets.secret(reference, base))
    if (Result.isFailure(found)) continue
    const value = Redacted.value(found.success)
    const isOpen = kept.has(reference) || paths.every((path) => open.test(path))
    if (!isOpen) cutter.learn([value])
    references[reference] = isOpen ? value : cutter.standIn(value)
  }
  return references
})

/** Tokens that are stored: an API may repeat them. */
const storedTokens = Effect.fnUntraced(function* ({ connector }: LoadedConnector) {
  const { auth } = connector
  if (auth === undefined || !("oauth2" in auth)) return []
  const store = yield* TokenStore
  const stored = yield* Effect.result(store.load(auth.authorization ?? connector.connector))
  const tokens = Result.isSuccess(stored) ? Option.getOrUndefined(stored.success) : undefined
  if (tokens === undefined) return []
  return [tokens.accessToken, ...(tokens.refreshToken === undefined ? [] : [tokens.refreshToken])].map(Redacted.value)
})

/** A file that takes its name when all of it is written. */
const written = Effect.fnUntraced(function* (to: string, overwrite: boolean) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const bad = (problem: string) => new NoCassette({ path: to, problem })
  if (!overwrite && (yield* fs.exists(to).pipe(Effect.orElseSucceed(() => false)))) {
    return yield* bad("there is a file of this name. Name another, or replace it with --overwrite.")
  }
  const partial = `${path.resolve(to)}.partial`
  const failed = Effect.mapError((error: Parameters<typeof why>[0]) => bad(`it cannot be written (${why(error)}).`))
  yield* failed(fs.writeFileString(partial, ""))
  yield* Effect.addFinalizer(() => Effect.ignore(fs.remove(partial, { force: true })))
  return {
    append: (text: string) => (text === "" ? Effect.void : failed(fs.writeFileString(partial, text, { flag: "a" }))),
    read: failed(fs.readFileString(partial)),
    finish: (text: string) => failed(Effect.andThen(fs.writeFileString(partial, text), fs.rename(partial, to)))
  }
})

/** How a stream that was recorded comes out of the cassette. */
const compared = (
  read: Walked,
  again: Result.Result<Walked, { readonly message: string }>
): readonly [boolean, string] => {
  if (Result.isFailure(again)) return [false, `it cannot be replayed: ${again.failure.message}`]
  const { digest, records } = again.success
  if (records !== read.records) return [false, `replayed, it has ${count(records)} record(s)`]
  return [
    true,
    digest === read.digest ? "replayed, they are the same" : "replayed, they are as many; secrets were cut out of some"
  ]
}

/**
 * Reads streams and writes down every exchange with the API, secrets cut out; then reads them again from what was written, to see
 * that the same comes. Publishes nothing and moves no position.
 */
export const record = Effect.fn("cli.record")(function* (options: RecordOptions) {
  const screen = yield* Screen
  const { chosen, sent, streams } = yield* choose(options)
  yield* noteSent(sent, options.json)
  const cutter = new Cutter()
  const references = yield* secretsOf(chosen, options.keep, cutter)
  const file = yield* written(options.to, options.overwrite)
  const recorder = yield* makeRecorder(yield* Wire, {
    connector: chosen.connector.connector,
    cutter,
    secrets: Effect.provideService(storedTokens(chosen), TokenStore, yield* TokenStore),
    references,
    mostAnswers: options.answers,
    mostBytes: options.body
  })
  const done = new Map<string, Result.Result<Walked, { readonly message: string }>>()
  for (const stream of streams) {
    recorder.begin(stream)
    yield* screen.progress(`recording ${stream} ...`)
    const walked = yield* walkOf(chosen, stream, () => Effect.orDie(file.append(recorder.take()))).pipe(
      Effect.scoped,
      Effect.provideService(Wire, recorder.wire),
      Effect.result
    )
    yield* file.append(recorder.take())
    done.set(stream, walked)
  }
  yield* screen.progress("replaying ...")
  // A secret may have been learnt after what held it was written.
  const text = recut(yield* file.read, cutter)
  const cassette = yield* readCassette(text, options.to)
  const again = new Map<string, Result.Result<Walked, { readonly message: string }>>()
  yield* Effect.gen(function* () {
    for (const stream of streams) {
      again.set(stream, yield* walkOf(chosen, stream, () => Effect.void).pipe(Effect.scoped, Effect.result))
    }
  }).pipe(Effect.provide(layerReplay(cassette)))
  yield* file.finish(text)
  yield* screen.progress("")

  let failed = 0
  for (const [stream, walked] of done) {
    const exchanges = cassette.exchanges.filter((exchange) => exchange.stream === stream)
    const real = exchanges.filter(({ answer }) => answer.made === undefined).length
    const replayed = again.get(stream)
    const [isWhole, said] =
      Result.isFailure(walked) || replayed === undefined ? [false, ""] : compared(walked.success, replayed)
    if (!isWhole) failed++
    if (options.json) {
      yield* screen.print(
        JSON.stringify({
          stream,
          requests: real,
          ...(Result.isFailure(walked) ? { error: walked.failure.message } : walked.success),
          isCut: recorder.isCut(stream),
          replayed: said,
          isWhole
        })
      )
      continue
    }
    if (Result.isFailure(walked)) {
      yield* screen.print(`${stream}: ${count(real)} answer(s) kept, then: ${printable(walked.failure.message)}`)
      continue
    }
    const { records } = walked.success
    yield* screen.print(`${stream}: ${count(real)} answer(s) with ${count(records)} record(s); ${printable(said)}`)
    if (recorder.isCut(stream)) {
      yield* screen.print(`  not all there is: the cassette ends after ${count(options.answers)} answers (--answers)`)
    }
  }
  for (const one of recorder.omitted) yield* screen.note(`left out: ${printable(one)}`)
  if (!options.json) yield* screen.print(`${options.to}: ${bytes(Buffer.byteLength(text))}`)
  if (failed > 0) return yield* new RecordFailed({ streams: failed })
}, Effect.scoped)
