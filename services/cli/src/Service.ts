import { healthServer, parseListenAddress } from "@tributary/control"
import { Config, Effect, Layer, Schema } from "effect"
import { hostname } from "node:os"
// oxlint-disable-next-line no-restricted-imports -- its number is the only name that a process has by itself
import process from "node:process"
import { sinkEngine, sourceEngine, transformEngine } from "./Engine.ts"
import { runSinks, runTransforms } from "./Pipeline.ts"
import { workOnAll, workOnSources } from "./Worker.ts"

/** What can run by itself, as one of many processes. */
export const services = ["source", "transform", "sink"] as const
export type ServiceName = (typeof services)[number]

/** A service stays; only everything in one process can end by itself. */
export class NotOnce extends Schema.TaggedError<NotOnce>()("NotOnce", { service: Schema.String }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `tributary run ${this.service} does not know when others are done, so it has no --once. Leave out one of the two.`
  }
}

/** Name of this process among the workers. */
const workerName = (service: ServiceName) =>
  Config.String("TRIBUTARY_WORKER").pipe(Config.withDefault(`${service}-${hostname()}-${process.pid}`))

/** Runs one service until interrupted, with its health at `http` (`host:port`). */
export const runService = Effect.fn("cli.runService")(function* (
  service: ServiceName,
  options: { readonly data: string; readonly http: string | undefined }
) {
  const worker = yield* workerName(service)
  const { data, http } = options
  const health =
    http === undefined ? Layer.empty : healthServer({ ...(yield* Effect.fromResult(parseListenAddress(http))), worker })
  yield* Effect.logInfo("Service starts.").pipe(Effect.annotateLogs({ service, worker }))
  switch (service) {
    case "source":
      return yield* workOnSources({ data, worker }).pipe(Effect.provide(Layer.provideMerge(health, sourceEngine(data))))
    case "transform":
      return yield* workOnAll({ data, worker }, runTransforms).pipe(
        Effect.provide(Layer.provideMerge(health, transformEngine))
      )
    case "sink":
      return yield* workOnAll({ data, worker }, runSinks).pipe(Effect.provide(Layer.provideMerge(health, sinkEngine)))
  }
})
