import { registerHooks } from "node:module"
import { resolve as resolvePath } from "node:path"
import { pathToFileURL } from "node:url"
import type { LosslessJson } from "@tributary/codec"
import type { Connector } from "@tributary/domain"
import { Effect, Predicate } from "effect"
import type { Resolve } from "./Resolve.ts"
import type { ConnectorDefinition } from "./slots/index.ts"
import { BadSetting } from "./SourceError.ts"

/** What a module may export as `connector` in place of a definition: it is called with the file's `config`, references replaced. */
export type ModuleConnector = (config: { readonly [name: string]: LosslessJson.Json }) => ConnectorDefinition

/** The top level of a module that waits for longer than this waits for something that does not come. */
const longestLoad = "10 seconds"

const isStream = (value: unknown): boolean =>
  Predicate.isObject(value) && "open" in value && Effect.isEffect(value.open)

const isDefinition = (value: unknown): value is ConnectorDefinition =>
  Predicate.isObject(value) &&
  "streams" in value &&
  Predicate.isObject(value.streams) &&
  Object.values(value.streams).every(isStream)

const isFunction = (value: unknown): value is (config: LosslessJson.Json) => unknown => typeof value === "function"

let loads = 0

/** What modules import of Tributary and what its slots are written with. */
const ownPackages = /^(?:@tributary\/|effect(?:\/|$))/u

const isNotFound = (error: unknown): boolean =>
  error instanceof Error && "code" in error && error.code === "ERR_MODULE_NOT_FOUND"

let isFinding = false

/**
 * Lets modules find these packages wherever they stand: those of this installation, where their own folder has none. Connector files
 * are mostly kept elsewhere than Tributary, and workers write registered modules into their data folder.
 */
const findOwnPackages = (): void => {
  if (isFinding) return
  isFinding = true
  registerHooks({
    resolve: (specifier, context, next) => {
      if (!ownPackages.test(specifier)) return next(specifier, context)
      try {
        return next(specifier, context)
      } catch (error) {
        if (!isNotFound(error)) throw error
        return next(specifier, { ...context, parentURL: import.meta.url })
      }
    }
  })
}

/**
 * Loads a module; Node strips the types. Loading it again reads it again, but not the files that it imports. Fails with what is wrong,
 * as the end of a sentence that begins with the file.
 */
export const importModule = (path: string): Effect.Effect<unknown, string> =>
  Effect.tryPromise({
    try: () => {
      findOwnPackages()
      return import(/* @vite-ignore */ `${pathToFileURL(path).href}?load=${++loads}`)
    },
    catch: (cause) => `cannot be loaded: ${cause instanceof Error ? cause.message.split("\n", 1)[0] : String(cause)}`
  }).pipe(
    Effect.timeoutOrElse({
      duration: longestLoad,
      orElse: () => Effect.fail("was not loaded within 10 seconds; its top level may not wait for anything.")
    })
  )

/** Loads the module of a connector. */
export const loadModule = Effect.fnUntraced(function* (
  file: string,
  connector: Connector,
  base: string,
  resolve: Resolve
): Effect.fn.Return<ConnectorDefinition, BadSetting> {
  const fail = (problem: string) => new BadSetting({ setting: "module", problem: `${file} ${problem}` })
  const path = resolvePath(base, file)
  const config = (yield* resolve.json(connector.config ?? {}, "config")).value
  const loaded: unknown = yield* Effect.mapError(importModule(path), fail)
  const exported: unknown = Predicate.isObject(loaded) && "connector" in loaded ? loaded.connector : undefined
  const made: unknown = !isFunction(exported)
    ? exported
    : yield* Effect.try({
        try: () => exported(config),
        catch: (cause) =>
          fail(`failed to make its connector: ${cause instanceof Error ? cause.message : String(cause)}`)
      })
  if (isDefinition(made)) return made
  return yield* fail(
    "does not export a connector. Write: export const connector = defineConnector({ streams: { … } }), or a function from the config to it."
  )
})
