import type { ConnectorId } from "@tributary/domain"
import { Log, LogError, LogUnavailable, SqliteLog } from "@tributary/log"
import { Effect, Layer, References, Schema } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Catalog, type Change } from "../src/Catalog.ts"
import { revisionOf } from "../src/Registration.ts"

const connectorId = Schema.decodeSync(Schema.String.pipe(Schema.brand("ConnectorId")))

/** A registration of a connector with a text of its own. */
export const register = (connector: string, text = `connector: ${connector}\n`): Change => ({
  register: {
    connector: connectorId(connector) satisfies ConnectorId,
    file: `${connector}.yaml`,
    text,
    scripts: [],
    revision: revisionOf(text, [])
  }
})

/** Whether the log answers; a test takes it away and brings it back. */
export interface Cable {
  isCut: boolean
  /** Reads of the log that were refused. */
  refused: number
}

/** A new log in a folder of its own, behind a cable. */
export const logBehind = (cable: Cable) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-catalog-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
      )
      const real = SqliteLog.layer({ directory })
      const behind = Layer.effect(
        Log,
        Effect.gen(function* () {
          const log = yield* Log
          const through = <A>(call: Effect.Effect<A, LogError>): Effect.Effect<A, LogError> =>
            Effect.suspend(() => {
              if (!cable.isCut) return call
              cable.refused += 1
              return Effect.fail(new LogError({ reason: new LogUnavailable({ cause: new Error("the cable is cut") }) }))
            })
          return Log.of({
            ...log,
            topics: through(log.topics),
            offsets: (topic) => through(log.offsets(topic)),
            read: (...args) => through(log.read(...args)),
            publish: (records) => through(log.publish(records)),
            ensureTopic: (spec) => through(log.ensureTopic(spec))
          })
        })
      )
      return behind.pipe(Layer.provide(real))
    })
  )

/** A catalog on a new log, with the log itself, and silent. */
export const catalogBehind = (cable: Cable) =>
  Layer.mergeAll(
    Catalog.layer.pipe(Layer.provideMerge(logBehind(cable))),
    Layer.succeed(References.MinimumLogLevel, "None")
  )
