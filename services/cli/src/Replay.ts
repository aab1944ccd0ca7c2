import { layerReplay, type Page, readCassette, type SourceError } from "@tributary/connector"
import { TokenStore } from "@tributary/vault"
import { Effect, FileSystem, Layer, Result, Schema, Stream } from "effect"
import { createHash } from "node:crypto"
import { choose, type Choice, noteSent } from "./Chosen.ts"
import { why } from "./ConnectorFiles.ts"
import { makeImpatient } from "./FirstPage.ts"
import { bytes, count } from "./Format.ts"
import type { LoadedConnector } from "./ConnectorFiles.ts"
import { Screen } from "./Screen.ts"

/** A cassette cannot be read or written. */
export class NoCassette extends Schema.TaggedError<NoCassette>()("NoCassette", {
  path: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `${this.path}: ${this.problem}`
  }
}

/** Some streams do not run on a cassette; why has been printed. */
export class ReplayFailed extends Schema.TaggedError<ReplayFailed>()("ReplayFailed", { streams: Schema.Natural }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `${count(this.streams)} stream(s) do not run on the cassette.`
  }
}

/** Reads a cassette's file. */
export const cassetteAt = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* fs
    .readFileString(file)
    .pipe(Effect.mapError((error) => new NoCassette({ path: file, problem: `it cannot be read (${why(error)}).` })))
  return yield* readCassette(text, file)
})

/** All that connectors run on, from a cassette: nothing goes out. */
export const replayOf = (file: string) =>
  Layer.unwrap(Effect.map(cassetteAt(file), (cassette) => Layer.merge(layerReplay(cassette), TokenStore.layerMemory)))

/** What a walk over a stream brought. */
export interface Walked {
  readonly pages: number
  readonly records: number
  readonly bytes: number
  /** Of the keys and the bytes of all records, in their order. */
  readonly digest: string
}

/** Reads a stream from its beginning to its end; `each` is told of every page. */
export const walkOf = Effect.fnUntraced(function* <R>(
  loaded: Pick<LoadedConnector, "base" | "connector">,
  stream: string,
  each: (page: Page) => Effect.Effect<void, never, R>
): Effect.fn.Return<Walked, SourceError, R | Effect.Services<ReturnType<typeof makeImpatient>>> {
  const source = yield* makeImpatient(loaded)
  const hash = createHash("sha256")
  let pages = 0
  let records = 0
  let size = 0
  yield* source.pages(stream, undefined, { prefetch: false }).pipe(
    Stream.runForEach((page) => {
      pages++
      records += page.records.length
      size += page.bytes
      for (const { key, value } of page.records)
        hash
          .update(key ?? "null")
          .update("\0")
          .update(value)
          .update("\0")
      return each(page)
    })
  )
  return { pages, records, bytes: size, digest: hash.digest("hex") }
})

/** Runs a connector's streams on a cassette, and says what each brings. Publishes nothing. */
export const replay = Effect.fn("cli.replay")(function* (options: Choice & { readonly json: boolean }) {
  const screen = yield* Screen
  const { chosen, sent, streams } = yield* choose(options)
  yield* noteSent(sent, options.json)
  let failed = 0
  for (const stream of streams) {
    const walked = yield* walkOf(chosen, stream, () => Effect.void).pipe(Effect.scoped, Effect.result)
    if (Result.isFailure(walked)) {
      failed++
      const { message } = walked.failure
      yield* screen.print(options.json ? JSON.stringify({ stream, error: message }) : `${stream}: ${message}`)
      continue
    }
    const { bytes: size, pages, records } = walked.success
    yield* screen.print(
      options.json
        ? JSON.stringify({ stream, ...walked.success })
        : `${stream}: ${count(records)} record(s) on ${count(pages)} page(s), ${bytes(size)}`
    )
  }
  if (failed > 0) return yield* new ReplayFailed({ streams: failed })
})
