import { Effect } from "effect"
import { Component } from "../component/Component.ts"
import { copyOfDict } from "../component/copyOf.ts"
import * as Dpath from "../component/Dpath.ts"
import { toData } from "../component/Expressions.ts"
import { failure, type RunError } from "../component/RunError.ts"
import { validTypesOf } from "../component/Transformations.ts"
import { truthy } from "../expression/Compare.ts"
import { type Context, isPlainDict, type PlainDict, PyTuple, type Value } from "../expression/Value.ts"
import { propagate } from "../manifest/parameters.ts"
import { ManifestError } from "../manifest/ManifestError.ts"
import { readYaml } from "../manifest/yaml.ts"
import type { Slice } from "../component/Slice.ts"
import { pure } from "./pure.ts"
import { makeRouter } from "./Routers.ts"
import { plainRetrieverOptions } from "./SimpleRetriever.ts"
import { makeRetriever, makeStream } from "./Streams.ts"
import type { Run } from "./Run.ts"

const parsed = (value: Value): Value => {
  if (typeof value !== "string") return value
  try {
    return readYaml(value)
  } catch (error) {
    if (error instanceof ManifestError) return value
    throw error
  }
}

/** The template with the values of one stream put in. `isParsed`: texts that are YAML become what they mean. */
const filled = (run: Run, resolver: Component, template: PlainDict, context: Context, isParsed: boolean): PlainDict => {
  const stream = copyOfDict(template)
  for (const mapping of resolver.children("components_mapping")) {
    const condition = mapping.optionalText("condition")
    if (condition !== undefined && condition !== "") {
      if (resolver.type !== "ConfigComponentsResolver") {
        mapping.fail("condition", "it is possible in a ConfigComponentsResolver only.")
      }
      if (!run.expressions.condition(condition, resolver.parameters, context)) continue
    }
    const types = validTypesOf(mapping)
    const value = toData(run.expressions.value(mapping.get("value") ?? "", mapping.parameters, context, types))
    const path = mapping.texts("field_path").map((part) => run.expressions.value(part, mapping.parameters, context))
    const isText = typeof value === "string" && types?.length === 1 && types[0] === "str"
    const used = isParsed && !isText ? parsed(value) : value
    const count = Dpath.set(stream, path, used)
    if (count === 0 && isParsed && mapping.isSet("create_or_update") && truthy(used)) Dpath.create(stream, path, used)
  }
  return stream
}

/** All combinations of one entry of each list. */
const product = (
  lists: ReadonlyArray<ReadonlyArray<readonly [number, Value]>>
): ReadonlyArray<ReadonlyArray<readonly [number, Value]>> =>
  lists.reduce<ReadonlyArray<ReadonlyArray<readonly [number, Value]>>>(
    (all, list) => all.flatMap((chosen) => list.map((entry) => [...chosen, entry])),
    [[]]
  )

const configValues = (run: Run, resolver: Component): ReadonlyArray<PlainDict> => {
  const lists = resolver.children("stream_config").map((config) => {
    const pointer = config.texts("configs_pointer").map((part) => run.expressions.value(part, config.parameters))
    const found = Dpath.get(run.expressions.config ?? {}, pointer) ?? []
    const defaults = config.get("default_values")
    const all = [...(Array.isArray(found) ? found : [found]), ...(Array.isArray(defaults) ? defaults : [])]
    return all.map((value, index) => [index, value] as const)
  })
  return product(lists).map((combination) => {
    const values: PlainDict = {}
    combination.forEach(([index, value], list) => {
      if (value !== null && isPlainDict(value)) Object.assign(values, value)
      else values[`source_config_${list}`] ??= new PyTuple([index, value])
    })
    return values
  })
}

const httpStreams = Effect.fnUntraced(function* (run: Run, resolver: Component, template: PlainDict, name: string) {
  const component = resolver.needed("retriever")
  const router = yield* makeRouter(run, component, (parent) => makeStream(run, parent, {}, () => true))
  const retriever = yield* makeRetriever(run, component, {
    ...plainRetrieverOptions,
    name,
    options: router.options,
    isCached: true
  })
  const streams: Array<PlainDict> = []
  yield* router.slices((slice: Slice) =>
    retriever.read(slice, (records) =>
      pure(() => {
        for (const { data } of records) {
          const context: Context = {
            stream_template_config: template,
            components_values: data,
            stream_slice: slice.value
          }
          streams.push(filled(run, resolver, template, context, false))
        }
      })
    )
  )
  return streams
})

/** A stream that was made of a template. */
export interface GeneratedStream {
  readonly component: Component
  /** Name of the definition it was made of. */
  readonly origin: string
}

/** The streams of a `DynamicDeclarativeStream`. Asks the API where the resolver does. */
export const dynamicStreams = Effect.fnUntraced(function* (
  run: Run,
  definition: Component,
  index: number
): Effect.fn.Return<ReadonlyArray<GeneratedStream>, RunError> {
  const resolver = definition.needed("components_resolver")
  const given = definition.get("stream_template")
  const template = given !== undefined && isPlainDict(given) ? given : {}
  const origin = definition.optionalText("name") ?? `dynamic_stream_${index}`
  const fromValues = (values: ReadonlyArray<PlainDict>) =>
    pure(() =>
      values.map((components) =>
        filled(run, resolver, template, { stream_template_config: template, components_values: components }, true)
      )
    )
  const make = () => {
    switch (resolver.type) {
      case "HttpComponentsResolver":
        return httpStreams(run, resolver, template, definition.optionalText("name") ?? "__http_components_resolver")
      case "ConfigComponentsResolver":
        return Effect.flatMap(
          pure(() => configValues(run, resolver)),
          fromValues
        )
      case "ParametrizedComponentsResolver": {
        const list = resolver.child("stream_parameters")?.get("list_of_parameters_for_stream")
        return fromValues(Array.isArray(list) ? list.filter((item) => item !== null && isPlainDict(item)) : [])
      }
      default:
        return pure((): ReadonlyArray<PlainDict> =>
          resolver.fail("type", `${resolver.type} is not there yet.`, "unsupported")
        )
    }
  }
  const streams = yield* make()
  const seen = new Set<string>()
  const parentWins = definition.get("use_parent_parameters") !== false
  return yield* pure(() =>
    streams.map((stream, number) => {
      const data = propagate("", stream, {}, parentWins)
      if (!Object.hasOwn(data, "type")) data["type"] = "DeclarativeStream"
      const { name } = data
      if (typeof name !== "string") throw failure("Expected the name of a dynamic stream to be a string.")
      if (seen.has(name)) {
        throw failure(`Dynamic streams list contains a duplicate name: ${name}.`, "config_error")
      }
      seen.add(name)
      return { component: new Component(data, `${definition.path}[${number}]`), origin }
    })
  )
})
