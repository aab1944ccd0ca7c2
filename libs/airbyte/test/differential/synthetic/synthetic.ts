/** A synthetic API for a manifest that comes alone, and a config for it. */
import { isPlainDict, manifestOf, type PlainDict, type Value } from "../../../src/index.ts"
import { copyOf } from "../../../src/component/copyOf.ts"
import { Expressions } from "../../../src/component/Expressions.ts"
import { plainAddress } from "./address.ts"
import { encoded, isRowDecoder } from "./bodies.ts"
import { dictIn, objectFor, own } from "./config.ts"
import { type Endpoint, endpointsOf } from "./endpoints.ts"
import { mentionsIn, textsIn } from "./mentions.ts"
import type { Seen } from "./paging.ts"
import { hashOf, put } from "./values.ts"
import { reshaped, usual, type Variant } from "./variant.ts"

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export interface Synthetic {
  readonly config: PlainDict
  /** The same answer for the same request, always. */
  readonly answer: (seen: Seen) => Reply
  /** Whether a request asks for a token. */
  readonly isLogin: (seen: Seen) => boolean
}

/** The time at which runs stand, as the runners have it. */
const environment = {
  ports: { nowMicros: () => 1_709_212_455_167_089, uuid: () => "9b2f8f5e-3d1c-4c57-8f6a-0a1b2c3d4e5f", random: () => 0 }
}

/** A record where a path with wildcards expects it. */
const placed = (path: ReadonlyArray<string>, record: PlainDict): Value => {
  const [head, ...rest] = path
  if (head === undefined) return record
  return head === "*" ? [placed(rest, record)] : { [head]: placed(rest, record) }
}

const shapedRecords = (path: ReadonlyArray<string>, records: ReadonlyArray<PlainDict>): Value => {
  const [head, ...rest] = path
  if (head === undefined) return [...records]
  if (head === "*") return records.map((record) => placed(rest, record))
  return { [head]: shapedRecords(rest, records) }
}

/** Puts what is missing in one value from another. */
const fill = (target: Value, source: Value): Value => {
  if (isPlainDict(target) && target !== null && source !== null && isPlainDict(source)) {
    for (const [key, value] of Object.entries(source)) {
      target[key] = Object.hasOwn(target, key) ? fill(target[key] ?? null, value) : value
    }
    return target
  }
  if (Array.isArray(target) && Array.isArray(source)) {
    return source.length > target.length
      ? source.map((item, index) => (index < target.length ? fill(target[index] ?? null, item) : item))
      : target.map((item, index) => (index < source.length ? fill(item, source[index] ?? null) : item))
  }
  return target
}

const nextAddress = (url: URL, page: number): string => {
  const next = new URL(url.href)
  next.searchParams.set("pgtok", `pgtok${page + 1}`)
  return next.href
}

/** Most records in one answer, whatever the number of components that want it. */
const answerOf = (seen: Seen, endpoints: ReadonlyArray<Endpoint>, variant: Variant): Reply => {
  const seed =
    hashOf(`${seen.url.pathname}${[...seen.url.searchParams].filter(([name]) => name !== "pgtok").join()}`) % 97
  const headers: Record<string, string> = {}
  const rows = endpoints.find(({ decoder, recordsAt }) => recordsAt !== undefined && isRowDecoder(decoder))
  const decoder = endpoints.find((endpoint) => endpoint.decoder !== undefined)?.decoder
  let document: Value | undefined
  let all: ReadonlyArray<PlainDict> = []
  // Of several that have this address, one may read the page elsewhere: it must not answer the others' walks with its first page for ever.
  const told = endpoints.map(({ paging }) => paging.pageOf(seen)).find((page) => page !== undefined)
  for (const { fixed, make, paging, recordsAt } of endpoints) {
    const page = paging.pageOf(seen) ?? told ?? 1
    const path = recordsAt ?? []
    // One mapping for what stands beside the records; else a list, as most answers without a path are.
    const isOne = recordsAt === undefined || (path.length === 0 && paging.needsMapping)
    const count = recordsAt === undefined ? 0 : Math.min(isOne ? 1 : Number.POSITIVE_INFINITY, paging.sizeOf(page))
    const records = Array.from({ length: count }, (_, index) => make((page - 1) * 200 + index + 1, seed))
    const given = paging.givenOf(page, nextAddress(seen.url, page))
    const last = records.at(-1)
    for (const { at, path, value } of given)
      if (at === "last_record" && last !== undefined) put(last, path, value, true)
    const made: Value = isOne ? { ...records[0] } : shapedRecords(path, records)
    if (isPlainDict(made) && made !== null) {
      for (const [name, value] of Object.entries(fixed)) put(made, [name], copyOf(value), true)
      for (const { at, path: place, value } of given) if (at === "response") put(made, place, value, true)
    }
    for (const { at, path: place, value } of given) {
      if (at !== "headers" || value === null || value === "" || typeof value === "object") continue
      const [name] = place
      if (String(name).toLowerCase() === "link") headers["Link"] = `<${nextAddress(seen.url, page)}>; rel="next"`
      else headers[String(name)] = String(value)
    }
    const isMismatch = document !== undefined && Array.isArray(document) !== Array.isArray(made)
    // A mapping can be one record of the list.
    if (document === undefined) document = made
    else if (!isMismatch) document = fill(document, made)
    else if (isPlainDict(made)) document = made
    all = all.length >= records.length ? all : records
  }
  const isUntyped = endpoints.some((endpoint) => endpoint.isUntyped)
  const isLogin = endpoints.some((endpoint) => endpoint.isLogin)
  const key = `${seen.url.pathname}?${[...seen.url.searchParams]
    .map((pair) => pair.join("="))
    .toSorted()
    .join("&")}`
  const shaped = isLogin || isUntyped ? { document: document ?? {} } : reshaped(variant, key, document ?? {})
  if ("text" in shaped) {
    return { status: 200, headers: { "Content-Type": "application/json", ...headers }, body: Buffer.from(shaped.text) }
  }
  const { bytes, type } = encoded(rows?.decoder ?? decoder, shaped.document, all)
  return { status: 200, headers: { ...(isUntyped ? {} : { "Content-Type": type }), ...headers }, body: bytes }
}

/** For what nothing is known of: a login of a component's own, perhaps. */
const unknown: Reply = {
  status: 200,
  headers: { "Content-Type": "application/json" },
  body: Buffer.from(
    '{"access_token":"synthetic-token","token":"synthetic-token","expires_in":3600,"data":[{"id":"1"}]}'
  )
}

/**
 * Makes a config that the manifest's spec accepts, unless one is given, and an API that answers whatever the manifest's
 * components ask for.
 */
export const synthesise = (data: PlainDict, givenConfig?: PlainDict, variant: Variant = usual): Synthetic => {
  const manifest = manifestOf(data)
  const specification = dictIn(own(own(manifest.data, "spec"), "connection_specification"))
  const mentioned = new Set<string>()
  for (const { data: component } of manifest.used) {
    for (const text of textsIn(component)) {
      if (!text.includes("config")) continue
      for (const { path } of mentionsIn(text, new Set(["config"]))) for (const part of path) mentioned.add(String(part))
    }
  }
  const config =
    givenConfig ??
    objectFor(specification, {
      wanted: (name) => variant.isFull || (mentioned.has(name) && !/end_?date|end_?time|until/i.test(name)),
      branch: variant.branch
    })
  const expressions = new Expressions(config, environment)
  const endpoints = endpointsOf(expressions, manifest.used)
  const templates = endpoints.filter(({ isTemplate }) => isTemplate)
  const known = new Map<string, ReadonlyArray<Endpoint>>()
  const find = (seen: Seen): ReadonlyArray<Endpoint> => {
    const address = plainAddress(seen.url.href)
    const key = `${seen.method} ${address}`
    const before = known.get(key)
    if (before !== undefined) return before
    const fitting = endpoints.filter(({ address: { pattern } }) => pattern.test(address))
    const sameMethod = fitting.filter(({ method }) => method === seen.method)
    const chosen = sameMethod.length > 0 ? sameMethod : fitting
    const weight = Math.max(...chosen.map((endpoint) => endpoint.address.weight))
    const best = chosen.filter((endpoint) => endpoint.address.weight === weight)
    // The address of a template's stream or schema may be that of what the template is filled from.
    const places = new Set(best.map(({ recordsAt }) => recordsAt?.join("/")))
    const alike = templates.filter(({ recordsAt }) => recordsAt !== undefined && places.has(recordsAt.join("/")))
    const result = best.length > 0 ? [...new Set([...best, ...alike])] : templates
    known.set(key, result)
    return result
  }
  return {
    config,
    isLogin: (seen) => {
      const found = find(seen)
      return found.length === 0 || found.some((endpoint) => endpoint.isLogin)
    },
    answer: (seen) => {
      const found = find(seen)
      return found.length === 0 ? unknown : answerOf(seen, found.slice(0, 20), variant)
    }
  }
}
