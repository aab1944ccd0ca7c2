import { defaultControlAddress, healthServer, parseListenAddress, runControl } from "@tributary/control"
import { Config, Effect, Layer } from "effect"
import { hostname } from "node:os"
// oxlint-disable-next-line no-restricted-imports -- its number is the only name that a process has by itself
import process from "node:process"
import { controlEngine, sinkEngine, sourceEngine, transformEngine } from "./Engine.ts"
import { runSinks, runTransforms } from "./Pipeline.ts"
import type { ServiceName } from "./ServiceName.ts"
import { workOnAll, workOnSources } from "./Worker.ts"

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
  const at = http === undefined ? undefined : yield* Effect.fromResult(parseListenAddress(http))
  const health = at === undefined ? Layer.empty : healthServer({ ...at, worker })
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
    case "control":
      return yield* runControl(at ?? defaultControlAddress).pipe(Effect.provide(controlEngine))
  }
})
