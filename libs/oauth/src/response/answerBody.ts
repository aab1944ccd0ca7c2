import { Option, Schema } from "effect"
import { clean } from "../clean.ts"
import type { AnswerPath, Json, WireResponse } from "./Answer.ts"

const decodeJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))

/** A value as an object; the first of a list, which some servers wrap a single error in. */
export const object = (value: unknown): Json | undefined => {
  const one: unknown = Array.isArray(value) && value.length === 1 ? value[0] : value
  return typeof one === "object" && one !== null && !Array.isArray(one) ? { ...one } : undefined
}

/** Text that says something; numbers are text as well, since servers do not agree on which codes are numbers. */
export const text = (value: unknown): string | undefined => {
  if (typeof value === "string") return value.trim() === "" ? undefined : value.trim()
  return typeof value === "number" ? String(value) : undefined
}

/** What stands under a name of an answer's own, not under those that every object has. */
export const at = (json: Json, name: string): unknown => (Object.hasOwn(json, name) ? json[name] : undefined)

/** What stands at a path. */
export const atPath = (json: Json, path: AnswerPath): unknown => {
  const whole = at(json, path)
  if (whole !== undefined) return whole
  const [first = "", ...rest] = path.split(".")
  if (rest.length === 0) return undefined
  const inner = object(at(json, first))
  return inner === undefined ? undefined : atPath(inner, rest.join("."))
}

/** The body without white space, to which a byte order mark counts, and without the guard that some servers put before JSON. */
const bare = (body: string): string => body.trim().replace(/^\)\]\}',?\s*/u, "")

const tokenFormNames = /^(access_?token|accessToken|refresh_?token|error(_description)?|token|oauth_token)$/u

/**
 * The body as an object: JSON whatever the content type says, or a form, as some servers answer when not asked for JSON.
 * Of a name that is given twice the last one counts, as in every reader of JSON; refusing the answer would lose a refresh
 * token that the server has already replaced.
 */
export const parse = (response: WireResponse, extraNames: ReadonlyArray<string>): Json | undefined => {
  const body = bare(response.body)
  const json = object(Option.getOrUndefined(decodeJson(body)))
  if (json !== undefined) return json
  if (!/^[\w.-]+=[^<>{}\s]*(&[\w.-]+=[^<>{}\s]*)*&?$/u.test(body)) return undefined
  const form = Object.fromEntries(new URLSearchParams(body))
  return Object.keys(form).some((name) => tokenFormNames.test(name) || extraNames.includes(name)) ? form : undefined
}

/** Whether a body that is no object could be the beginning of one. */
export const looksCut = (response: WireResponse): boolean => bare(response.body).startsWith("{")

/** Says in words what a body is that is no object. */
export const kindOf = (response: WireResponse): string => {
  const body = bare(response.body)
  if (body === "") return "no content"
  if (/^<\?xml/iu.test(body)) return "XML"
  if (body.startsWith("<")) return "an HTML page"
  const type = response.headers["content-type"]?.split(";")[0]?.trim() ?? ""
  const isType = /^[\w.+-]{1,40}\/[\w.+-]{1,60}$/u.test(type)
  return isType ? `${clean(type, [])} that is not a JSON object` : "something that is not JSON"
}
