import { Effect } from "effect"
import { readFile } from "node:fs/promises"
import { basename, isAbsolute, join, relative, resolve, sep } from "node:path"
import type { Component } from "../component/Component.ts"
import * as Dpath from "../component/Dpath.ts"
import { hookOf } from "../component/Hooks.ts"
import { parseJson } from "../component/jsonText.ts"
import { failure, type RunError } from "../component/RunError.ts"
import { transformationOf } from "../component/Transformations.ts"
import { equals } from "../expression/Compare.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"
import { str } from "../expression/Repr.ts"
import { askingContext, awaited } from "./asking.ts"
import type { Retriever } from "./Parts.ts"
import { pure } from "./pure.ts"
import type { Run } from "./Run.ts"
import { readFirst } from "./SimpleRetriever.ts"

const airbyteTypes: { readonly [name: string]: PlainDict } = {
  string: { type: ["null", "string"] },
  boolean: { type: ["null", "boolean"] },
  date: { type: ["null", "string"], format: "date" },
  timestamp_without_timezone: {
    type: ["null", "string"],
    format: "date-time",
    airbyte_type: "timestamp_without_timezone"
  },
  timestamp_with_timezone: { type: ["null", "string"], format: "date-time" },
  time_without_timezone: { type: ["null", "string"], format: "time", airbyte_type: "time_without_timezone" },
  time_with_timezone: { type: ["null", "string"], format: "time", airbyte_type: "time_with_timezone" },
  integer: { type: ["null", "integer"] },
  number: { type: ["null", "number"] },
  array: { type: ["null", "array"] },
  object: { type: ["null", "object"] }
}

const named = (name: string): PlainDict => {
  const known = airbyteTypes[name]
  if (known === undefined) throw failure(`Invalid Airbyte data type: ${name}`)
  return structuredClone(known)
}

const complexType = (type: PlainDict): PlainDict => {
  const schema = named(str(type["field_type"] ?? "string"))
  const { items } = type
  if (items === undefined || items === null) return schema
  schema["items"] = isPlainDict(items) ? complexType(items) : named(str(items))
  return schema
}

const typeSchema = (type: Value): PlainDict => {
  if (type !== null && isPlainDict(type)) return complexType(type)
  if (Array.isArray(type)) {
    const [first, second] = type
    if (type.length !== 2 || typeof first !== "string" || typeof second !== "string") {
      throw failure("Invalid data type. Available string or two items list of string.")
    }
    return { oneOf: [named(first), named(second)] }
  }
  if (typeof type !== "string") throw failure(`Invalid data type. Available string or two items list of string.`)
  return named(type)
}

const dynamic = (run: Run, component: Component, retriever: Retriever): Effect.Effect<PlainDict, RunError> =>
  Effect.gen(function* () {
    // The first record describes the fields.
    const first = yield* readFirst(retriever)
    return yield* pure(() => {
      const identifier = component.needed("schema_type_identifier")
      const pointer = (name: string) =>
        identifier.texts(name).map((part) => run.expressions.value(part, identifier.parameters))
      const extract = (body: Value, path: ReadonlyArray<Value>, fallback: Value): Value =>
        path.length === 0 ? body : (Dpath.get(body, path) ?? fallback)
      const raw =
        first === undefined || Object.keys(first).length === 0 ? [] : extract(first, pointer("schema_pointer"), null)
      const properties: PlainDict = {}
      if (!Array.isArray(raw)) {
        throw failure(`${identifier.path}.schema_pointer: there is no list of fields; the schema cannot be made.`)
      }
      for (const definition of raw) {
        const key = extract(definition, pointer("key_pointer"), null)
        if (typeof key !== "string") throw failure("Expected key to be a string.")
        let type = identifier.has("type_pointer") ? extract(definition, pointer("type_pointer"), "string") : "string"
        for (const map of identifier.children("types_mapping")) {
          const condition = map.optionalText("condition") ?? "True"
          const holds = run.expressions.condition(condition, {}, { raw_schema: definition })
          if (holds && equals(type, map.get("current_type") ?? null)) {
            type = map.get("target_type") ?? type
            break
          }
        }
        properties[key] = typeSchema(type)
      }
      const filter = component.child("schema_filter")
      const kept: PlainDict =
        filter === undefined
          ? properties
          : Object.fromEntries(
              Object.entries(properties).filter(([key, value]) =>
                run.expressions.condition(filter.optionalText("condition") ?? "", filter.parameters, {
                  record: { [key]: value }
                })
              )
            )
      for (const transformation of component.children("schema_transformations")) {
        transformationOf(transformation, run.expressions)(kept, { stream_slice: null })
      }
      return {
        $schema: "https://json-schema.org/draft-07/schema#",
        type: "object",
        additionalProperties: true,
        properties: kept
      }
    })
  })

const fromFile = (
  run: Run,
  component: Component | undefined,
  parameters: PlainDict
): Effect.Effect<PlainDict, RunError> =>
  Effect.gen(function* () {
    const template = component?.optionalText("file_path") ?? "./schemas/{{ parameters['name'] }}.json"
    const path = yield* pure(() => run.expressions.text(template, component?.parameters ?? parameters))
    const file = resolve(run.folder, path)
    const inside = relative(run.folder, file)
    if (inside.startsWith("..") || isAbsolute(inside)) {
      return yield* failure(
        `${join(path)} is outside of the manifest's folder; schema files stand beside it.`,
        "config_error"
      )
    }
    // A connector's package names itself in the path: the manifest stands inside of that folder.
    const [first, ...rest] = inside.split(sep)
    const inPackage = first === basename(run.folder) && rest.length > 0 ? join(run.folder, ...rest) : undefined
    const text = yield* Effect.tryPromise({
      try: () =>
        readFile(file, "utf8").catch((error: unknown) => {
          if (inPackage === undefined) throw error
          return readFile(inPackage, "utf8")
        }),
      catch: () => failure(`Cannot find file ${path} beside the manifest`)
    })
    return yield* Effect.try({
      try: () => parseJson(text),
      catch: () => failure(`Invalid JSON file format for file ${path}`)
    }).pipe(Effect.map((value) => (value !== null && isPlainDict(value) ? value : {})))
  })

const loaderOf = (
  run: Run,
  component: Component,
  retrieverOf: (component: Component) => Effect.Effect<Retriever, RunError>
): Effect.Effect<Effect.Effect<PlainDict, RunError>, RunError> => {
  switch (component.type) {
    case "InlineSchemaLoader": {
      const schema = component.get("schema")
      return Effect.succeed(Effect.succeed(schema !== undefined && isPlainDict(schema) ? schema : {}))
    }
    case "JsonFileSchemaLoader":
      return Effect.succeed(fromFile(run, component, {}))
    case "DynamicSchemaLoader":
      return Effect.map(retrieverOf(component.needed("retriever")), (retriever) => dynamic(run, component, retriever))
    case "CustomSchemaLoader":
      return Effect.map(
        pure(() => hookOf(component, run.expressions, "schemaLoaders")),
        (hook) => awaited(component, () => hook(askingContext(run, component)))
      )
    default:
      return pure(() => component.fail("type", `${component.type} is not there yet.`, "unsupported"))
  }
}

/** The schema of a stream's records, read once. Several loaders together have the properties of all, the first wins. */
export const makeSchema = Effect.fnUntraced(function* (
  run: Run,
  stream: Component,
  retrieverOf: (component: Component) => Effect.Effect<Retriever, RunError>
): Effect.fn.Return<Effect.Effect<PlainDict, RunError>, RunError> {
  const components = stream.children("schema_loader")
  const [first] = components
  if (first === undefined) {
    const parameters: PlainDict = { ...stream.parameters, name: stream.optionalText("name") ?? "" }
    // A stream without a schema may have one in a file; without that, any record is one.
    return yield* Effect.cached(fromFile(run, undefined, parameters).pipe(Effect.orElseSucceed((): PlainDict => ({}))))
  }
  const loaders = yield* Effect.forEach(components, (component) => loaderOf(run, component, retrieverOf))
  const [only] = loaders
  if (only !== undefined && !Array.isArray(stream.get("schema_loader"))) return yield* Effect.cached(only)
  const together = Effect.map(Effect.all(loaders), (schemas): PlainDict => {
    const properties: PlainDict = {}
    for (const schema of schemas) {
      const own = schema["properties"]
      if (own !== undefined && own !== null && isPlainDict(own)) {
        for (const [name, value] of Object.entries(own)) if (!Object.hasOwn(properties, name)) properties[name] = value
      }
    }
    return { $schema: "http://json-schema.org/draft-07/schema#", type: ["null", "object"], properties }
  })
  return yield* Effect.cached(together)
})
