import type { LosslessJson } from "@tributary/codec"
import type { Connector, JobRequest, RequestBody } from "@tributary/domain"
import { Effect } from "effect"
import { fill, fillJson } from "./Placeholders.ts"
import { hasReference, type Resolve } from "./Resolve.ts"
import type { DraftBody, Requester, Slice } from "./slots/index.ts"
import { BadSetting } from "./SourceError.ts"

const isMembers = (value: LosslessJson.Json): value is { readonly [name: string]: LosslessJson.Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The address that a stream's path is appended to, without a slash at its end. */
const baseAddress = Effect.fnUntraced(function* (
  template: string,
  setting: string,
  resolve: Resolve
): Effect.fn.Return<string, BadSetting> {
  const { value } = yield* resolve.text(template, setting)
  const shown = hasReference(template) ? "" : `, found ${value}`
  if (!URL.canParse(value) || !/^https?:$/u.test(new URL(value).protocol)) {
    return yield* new BadSetting({ setting, problem: `expected an address with https:// or http://${shown}.` })
  }
  const url = new URL(value)
  if (url.username !== "" || url.password !== "") {
    const problem = "the address has a user name or password. Send it as a header, with http.headers."
    return yield* new BadSetting({ setting, problem })
  }
  url.search = ""
  url.hash = ""
  return url.href.replace(/\/$/u, "")
})

/** A body whose references are replaced, as what makes it for a slice. */
const bodyOf = Effect.fnUntraced(function* (
  body: RequestBody,
  setting: string,
  resolve: Resolve
): Effect.fn.Return<
  { readonly make: (slice: Slice) => DraftBody; readonly secrets: ReadonlyArray<string> },
  BadSetting
> {
  const members = Effect.fnUntraced(function* (value: LosslessJson.Json, name: string) {
    const resolved = yield* resolve.json(value, `${setting}.${name}`)
    const make = (slice: Slice): Record<string, LosslessJson.Json> => {
      const filled = fillJson(resolved.value, slice)
      return isMembers(filled) ? { ...filled } : {}
    }
    return { make, secrets: resolved.secrets }
  })
  if ("json" in body) {
    const { make, secrets } = yield* members(body.json, "json")
    return { make: (slice) => ({ _tag: "Json", members: make(slice) }), secrets }
  }
  if ("graphql" in body) {
    // The query's own braces are no placeholders: what differs between slices goes into variables.
    const { make, secrets } = yield* members(body.variables, "variables")
    return { make: (slice) => ({ _tag: "GraphQl", query: body.graphql, variables: make(slice) }), secrets }
  }
  if ("form" in body) {
    const found: Array<string> = []
    const fields: Array<readonly [string, string]> = []
    for (const [name, template] of Object.entries(body.form)) {
      const { secrets, value } = yield* resolve.text(String(template), `${setting}.form.${name}`)
      fields.push([name, value])
      found.push(...secrets)
    }
    return {
      make: (slice) => ({
        _tag: "Form",
        fields: Object.fromEntries(fields.map(([name, value]) => [name, fill(value, slice)]))
      }),
      secrets: found
    }
  }
  const { secrets, value } = yield* resolve.text(body.text, `${setting}.text`)
  return {
    make: (slice) => ({ _tag: "Text", text: fill(value, slice), contentType: body.content_type }),
    secrets
  }
})

/** The requester of settings of a request (those of a stream, or of its job) at `setting`, with today's secrets. */
export const yamlRequester = Effect.fnUntraced(function* (
  { auth, http }: Connector,
  setting: string,
  stream: JobRequest,
  resolve: Resolve
): Effect.fn.Return<Requester, BadSetting> {
  const hidden: Array<string> = []
  const headers: Record<string, string> = {}
  for (const [place, fields] of [
    ["http", http.headers],
    [setting, stream.headers]
  ] as const) {
    for (const [header, template] of Object.entries(fields)) {
      const { secrets, value } = yield* resolve.text(template, `${place}.headers.${header}`)
      headers[header.toLowerCase()] = value
      hidden.push(...secrets)
    }
  }
  const base =
    stream.address === undefined
      ? yield* baseAddress(http.base_url ?? "", "http.base_url", resolve)
      : yield* baseAddress(stream.address, `${setting}.address`, resolve)
  const { secrets: inPath, value: path } = yield* resolve.text(stream.path ?? "", `${setting}.path`)
  hidden.push(...inPath)
  if (!URL.canParse(`${base}${path}`)) {
    const problem = `it makes no address with ${stream.address === undefined ? "http.base_url" : `${setting}.address`}.`
    return yield* new BadSetting({ setting: `${setting}.path`, problem })
  }
  const query: Array<readonly [string, string]> = []
  const secretParameters = new Map<string, string>()
  for (const [parameter, given] of Object.entries(stream.query)) {
    const { secrets, value } = yield* resolve.text(String(given), `${setting}.query.${parameter}`)
    query.push([parameter, value])
    if (secrets.length > 0) secretParameters.set(parameter, value)
    hidden.push(...secrets)
  }
  // Like a parameter of the stream, so that it is taken out of addresses that are kept.
  if (auth !== undefined && "api_key" in auth && auth.query !== undefined) {
    const { secrets, value } = yield* resolve.text(auth.api_key, "auth.api_key")
    query.push([auth.query, value])
    secretParameters.set(auth.query, value)
    hidden.push(...secrets)
  }
  const body = stream.body === undefined ? undefined : yield* bodyOf(stream.body, `${setting}.body`, resolve)
  hidden.push(...(body?.secrets ?? []))
  const method = stream.method ?? (body === undefined ? "GET" : "POST")
  return {
    draft: (slice) =>
      Effect.sync(() => {
        const url = new URL(`${base}${fill(path, slice, encodeURIComponent)}`)
        for (const [parameter, value] of query) url.searchParams.set(parameter, fill(value, slice))
        const filled: Record<string, string> = {}
        for (const [header, value] of Object.entries(headers)) filled[header] = fill(value, slice)
        return { method, url, headers: filled, body: body?.make(slice) }
      }),
    secretParameters,
    pathSecrets: inPath,
    secrets: hidden
  }
})
