import {
  ManifestError,
  manifestOf,
  ManifestHttp,
  makeSource,
  parseJson,
  type PlainDict,
  RunError,
  streamStates,
  isPlainDict,
  type Output
} from "@tributary/airbyte"
import { Clock, Effect, Layer, Logger, Schema } from "effect"
import type { ManifestCase, Outcome, Wrong } from "./Case.ts"
import { hurriedClock } from "./HurriedClock.ts"
import { isObject, type Json, objectOr } from "./Json.ts"
import { faultsOf } from "./Messages.ts"

const isOurs = Schema.is(Schema.Union([RunError, ManifestError]))

/** Requests go to the server of the case, which is told the address that was meant. */
const httpTo = (base: string) =>
  Layer.effect(
    ManifestHttp,
    Effect.map(ManifestHttp, (http) =>
      ManifestHttp.of({
        send: (request, timeouts) =>
          Effect.map(
            http.send(
              { ...request, url: `${base}/`, headers: { ...request.headers, "X-Meant-Url": request.url } },
              { ...timeouts, connect: 1000, read: 150, bytes: 16_777_216 }
            ),
            (answer) => ("status" in answer ? answer.from(request) : answer)
          )
      })
    )
  ).pipe(Layer.provide(ManifestHttp.layer))

const dict = (value: Json): PlainDict => {
  const parsed = parseJson(JSON.stringify(value))
  return parsed !== null && isPlainDict(parsed) ? parsed : {}
}

/** Errors that a run reports in its messages. */
const told = (line: string): ReadonlyArray<string> => {
  const { connectionStatus, trace, type } = objectOr(JSON.parse(line) as Json)
  if (type === "CONNECTION_STATUS") {
    const { message, status } = objectOr(connectionStatus)
    return status === "FAILED" ? [String(message)] : []
  }
  if (type !== "TRACE") return []
  const { error } = objectOr(trace)
  return isObject(error) ? [String(error["message"])] : []
}

export const runManifest = async (
  given: ManifestCase,
  base: string,
  folder: string
): Promise<Pick<Outcome, "word" | "wrong">> => {
  const wrong: Array<Wrong> = []
  const { clock, close } = hurriedClock()
  let failures = 0
  const output: Output = {
    print: (lines) =>
      Effect.sync(() => {
        for (const line of lines) {
          if (line.includes("\n")) wrong.push({ name: "a message is more than a line", detail: line.slice(0, 300) })
          for (const message of told(line)) {
            failures++
            // What a manifest's own texts say is theirs.
            wrong.push(...faultsOf(message, message).filter(({ name }) => name.includes("nothing")))
          }
        }
      })
  }
  const program = Effect.gen(function* () {
    const manifest = yield* Effect.try({
      try: () => manifestOf(dict(given.manifest)),
      catch: (error) => {
        if (isOurs(error)) return error
        throw error
      }
    })
    const environment = {
      ports: {
        nowMicros: () => clock.currentTimeMillisUnsafe() * 1000,
        uuid: () => "9b2f8f5e-3d1c-4c57-8f6a-0a1b2c3d4e5f",
        random: () => 0.5
      }
    }
    const source = yield* makeSource({ manifest, config: dict(given.config), folder, environment, output })
    yield* source.check
    yield* Effect.result(source.discover)
    const isComplete = yield* source.read({
      catalog: undefined,
      state: streamStates(parseJson(JSON.stringify(given.state)))
    })
    if (!isComplete && failures === 0) wrong.push({ name: "a run fails and does not say why", detail: given.name })
    return isComplete ? "read" : "read in part"
  }).pipe(
    Effect.catch((error) => {
      if (!isOurs(error) || error.message.trim().length < 10)
        wrong.push({ name: "an error is not one of ours", detail: String(error) })
      const kind = error._tag === "ManifestError" ? `manifest ${error.kind}` : "not run"
      return Effect.succeed(kind)
    }),
    Effect.scoped,
    Effect.provide(Layer.merge(httpTo(base), Logger.layer([]))),
    Effect.provideService(Clock.Clock, clock)
  )
  try {
    return { word: await Effect.runPromise(program), wrong }
  } finally {
    close()
  }
}
