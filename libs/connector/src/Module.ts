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

/** Loads the module of a connector; Node strips the types. Loading it again reads it again, but not the files that it imports. */
export const loadModule = Effect.fnUntraced(function* (
  file: string,
  connector: Connector,
  base: string,
  resolve: Resolve
): Effect.fn.Return<ConnectorDefinition, BadSetting> {
  const fail = (problem: string) => new BadSetting({ setting: "module", problem: `${file} ${problem}` })
  const path = resolvePath(base, file)
  const config = (yield* resolve.json(connector.config ?? {}, "config")).value
  const loaded: unknown = yield* Effect.tryPromise({
    try: () => import(/* @vite-ignore */ `${pathToFileURL(path).href}?load=${++loads}`),
    catch: (cause) =>
      fail(`cannot be loaded: ${cause instanceof Error ? cause.message.split("\n", 1)[0] : String(cause)}`)
  }).pipe(
    Effect.timeoutOrElse({
      duration: longestLoad,
      orElse: () => Effect.fail(fail("was not loaded within 10 seconds; its top level may not wait for anything."))
    })
  )
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
