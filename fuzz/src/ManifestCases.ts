import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { parse } from "yaml"
import { type Answer, plainAnswer } from "./Answer.ts"
import type { EngineCase, ManifestCase, Route } from "./Case.ts"
import { bounded } from "./ConnectorCases.ts"
import { type Json, isList, isObject, type JsonObject, objectOr } from "./Json.ts"
import { mutated, type Random } from "./Mutate.ts"
import { oddAnswer } from "./RandomAnswers.ts"

const folder = join(import.meta.dirname, "../../libs/airbyte/test/differential/cases")

interface Whole {
  readonly name: string
  readonly manifest: Json
  readonly config: Json
  readonly state: ReadonlyArray<Json>
  readonly api: ReadonlyArray<Json>
}

const textOf = (value: Json | undefined): string => (typeof value === "string" ? value : JSON.stringify(value ?? null))

/** The manifests that are compared with Airbyte's own runner: they have every component. */
const whole: ReadonlyArray<Whole> = readdirSync(folder)
  .filter((name) => name.endsWith(".yaml"))
  .toSorted()
  .map((name) => {
    const value: unknown = parse(readFileSync(join(folder, name), "utf8"), { uniqueKeys: false, logLevel: "silent" })
    const data: Json = JSON.parse(JSON.stringify(value))
    const { api, config, manifest, state } = objectOr(data)
    return {
      name,
      manifest: manifest ?? null,
      config: config ?? {},
      state: isList(state) ? state : [],
      api: isList(api) ? api : []
    }
  })

/** Names of the streams that stand in each manifest. */
const streamNames = new Map(
  whole.map(({ manifest, name }) => {
    const { streams } = objectOr(manifest)
    const names = (isList(streams) ? streams : []).map((stream) => objectOr(stream)["name"])
    return [name, names.filter((one) => typeof one === "string")]
  })
)

const answerOf = (route: Json): Answer => {
  const { answerHeaders, base64, gzip, json, status, text } = objectOr(route)
  const headers = Object.entries(objectOr(answerHeaders)).map(([name, value]): readonly [string, string] => [
    name,
    textOf(value)
  ])
  const hasType = headers.some(([name]) => name.toLowerCase() === "content-type")
  const answer = plainAnswer(typeof text === "string" ? text : json === undefined ? "" : JSON.stringify(json), [
    ...headers,
    ...(hasType ? [] : [["content-type", "application/json"] as const])
  ])
  return {
    ...answer,
    status: typeof status === "number" ? status : 200,
    ...(typeof base64 === "string" ? { body: { base64 } } : {}),
    ...(gzip === true ? { wrap: ["gzip" as const] } : {})
  }
}

/** One of the manifests with some places changed, and an API that answers it, at times oddly. */
export const manifestCase = (random: Random): ManifestCase => {
  const { api, name, ...rest } = random.pick(whole)
  let { config, manifest, state } = rest
  for (let slip = random.pick([0, 0, 1, 1, 2, 4]); slip > 0; slip--) {
    const which = random.below(8)
    if (which === 0) config = mutated(config, random)
    else if (which === 1) state = state.map((one) => mutated(one, random))
    else manifest = mutated(manifest, random)
  }
  const routes = new Map<string, Route>()
  const isOdd = random.below(2) === 0
  for (const given of api) {
    if (!isObject(given)) continue
    const path = typeof given["path"] === "string" ? given["path"] : "*"
    const method = typeof given["method"] === "string" ? given["method"] : undefined
    const answer = answerOf(given)
    const key = `${method ?? ""} ${path}`
    const before = routes.get(key)?.answers ?? []
    routes.set(key, {
      path,
      method,
      answers: [
        ...before,
        isOdd && random.below(3) === 0 ? oddAnswer(answer, random, random.pick([1, 1, 2, 4])) : answer
      ]
    })
  }
  return { kind: "manifest", name, manifest, config, state, routes: [...routes.values()] }
}

/** Addresses of the wide world become the server's, which is told in the path whom it stands for. */
const atHome = (text: string): string => text.replaceAll(/(https?):\/\/(?!127\.0\.0\.1)/gu, "@BASE@/$1/")

/** Values that look like secrets become references, as a connector file has to have it. */
const withReferences = (value: Json, name: string): Json => {
  if (typeof value === "string")
    return value !== "" && /secret|token|password|key|credential/iu.test(name) ? "${env:KEY}" : value
  if (isList(value)) return value.map((item) => withReferences(item, name))
  return isObject(value)
    ? Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withReferences(item, key)]))
    : value
}

const answerAtHome = (answer: Answer): Answer => ({
  ...answer,
  headers: answer.headers.map(([header, value]) => [header, atHome(value)] as const),
  body: "text" in answer.body ? { text: atHome(answer.body.text) } : answer.body
})

/** A connector file with one of the manifests, some places of both changed, and its API. */
export const engineCase = (random: Random): EngineCase => {
  const { config, manifest, name, routes } = manifestCase(random)
  const names = streamNames.get(name) ?? []
  const file: JsonObject = {
    connector: "shop",
    manifest: "./manifest.yaml",
    config: withReferences(config, ""),
    http: bounded(random),
    ...(random.below(3) === 0 && names.length > 0
      ? {
          streams: names.slice(0, 1 + random.below(2)).map((one) => one.toLowerCase().replaceAll(/[^a-z0-9_]+/gu, "_"))
        }
      : {})
  }
  const here = (value: Json): Json => JSON.parse(atHome(JSON.stringify(value)))
  return {
    kind: "engine",
    name,
    manifest: here(manifest),
    config: here(random.below(8) === 0 ? mutated(file, random) : file),
    routes: routes.map(({ answers, method, path }) => ({ path, method, answers: answers.map(answerAtHome) }))
  }
}

const texts = (value: Json): ReadonlyArray<string> =>
  typeof value === "string"
    ? value.includes("{{") || value.includes("{%")
      ? [value]
      : []
    : isList(value)
      ? value.flatMap(texts)
      : Object.values(objectOr(value)).flatMap(texts)

/** All expressions of the manifests. */
export const knownExpressions = (): ReadonlyArray<string> => [
  ...new Set(whole.flatMap(({ manifest }) => texts(manifest)))
]
