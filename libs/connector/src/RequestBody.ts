import { LosslessJson } from "@tributary/codec"
import type { DraftBody, EncodedBody, Place, RequestDraft } from "./slots/index.ts"

/** Writes a body out. */
export const encodeBody = (body: DraftBody): EncodedBody => {
  switch (body._tag) {
    case "Json":
      return { bytes: Buffer.from(LosslessJson.stringify(body.members)), contentType: "application/json" }
    case "GraphQl":
      return {
        bytes: Buffer.from(LosslessJson.stringify({ query: body.query, variables: body.variables })),
        contentType: "application/json"
      }
    case "Form":
      return {
        bytes: Buffer.from(new URLSearchParams(body.fields).toString()),
        contentType: "application/x-www-form-urlencoded"
      }
    case "Text":
      return { bytes: Buffer.from(body.text), contentType: body.contentType }
  }
}

const isObject = (value: LosslessJson.Json | undefined): value is { readonly [key: string]: LosslessJson.Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof LosslessJson.JsonNumber)

/** A copy of `members` with the member at a path set; what is on the way and no object is replaced by one. */
const withMember = (
  members: Readonly<Record<string, LosslessJson.Json>>,
  [name = "", ...rest]: ReadonlyArray<string>,
  value: LosslessJson.Json
): Record<string, LosslessJson.Json> => {
  const below = Object.hasOwn(members, name) ? members[name] : undefined
  return { ...members, [name]: rest.length === 0 ? value : withMember(isObject(below) ? below : {}, rest, value) }
}

/** A value with every `{name}` in its texts replaced. */
const replaced = (value: LosslessJson.Json, replace: (text: string) => string): LosslessJson.Json => {
  if (typeof value === "string") return replace(value)
  if (Array.isArray(value)) return value.map((member: LosslessJson.Json) => replaced(member, replace))
  return isObject(value) ? replacedMembers(value, replace) : value
}
const replacedMembers = (
  members: Readonly<Record<string, LosslessJson.Json>>,
  replace: (text: string) => string
): Record<string, LosslessJson.Json> =>
  Object.fromEntries(Object.entries(members).map(([name, member]) => [name, replaced(member, replace)]))

/** Replaces `{name}` wherever a request has it: in the path, query values, headers and the body. */
const replacePlaceholder = (draft: RequestDraft, name: string, value: string): void => {
  const replace = (text: string): string => text.replaceAll(`{${name}}`, () => value)
  putValue(draft, { in: "path", name }, value)
  for (const [parameter, text] of draft.url.searchParams) {
    const filled = replace(text)
    if (filled !== text) draft.url.searchParams.set(parameter, filled)
  }
  for (const [header, text] of Object.entries(draft.headers)) draft.headers[header] = replace(text)
  const { body } = draft
  if (body?._tag === "Json") draft.body = { ...body, members: replacedMembers(body.members, replace) }
  else if (body?._tag === "GraphQl") draft.body = { ...body, variables: replacedMembers(body.variables, replace) }
  else if (body?._tag === "Text") draft.body = { ...body, text: replace(body.text) }
  else if (body?._tag === "Form") {
    const fields = Object.entries(body.fields).map(([field, text]) => [field, replace(text)])
    draft.body = { ...body, fields: Object.fromEntries(fields) }
  }
}

/**
 * Puts a value into a request. In a JSON body and in GraphQL variables it is put as it is given; everywhere else as text. A
 * request without a body gets a JSON body for it.
 */
export const putValue = (draft: RequestDraft, place: Place, value: string | number | bigint | boolean): void => {
  const { name } = place
  switch (place.in) {
    case "query":
      draft.url.searchParams.set(name, String(value))
      return
    case "header":
      draft.headers[name.toLowerCase()] = String(value)
      return
    case "path":
      draft.url.pathname = draft.url.pathname.replaceAll(
        encodeURI(`{${name}}`),
        encodeURIComponent(String(value)).replaceAll("$", "$$$$")
      )
      return
    case "placeholder":
      replacePlaceholder(draft, name, String(value))
      return
    case "body": {
      const { body } = draft
      const path = name.split(".")
      if (body === undefined) draft.body = { _tag: "Json", members: withMember({}, path, value) }
      else if (body._tag === "Json") draft.body = { ...body, members: withMember(body.members, path, value) }
      else if (body._tag === "GraphQl") draft.body = { ...body, variables: withMember(body.variables, path, value) }
      else if (body._tag === "Form") draft.body = { ...body, fields: { ...body.fields, [name]: String(value) } }
      else draft.body = { ...body, text: body.text.replaceAll(`{${name}}`, () => String(value)) }
    }
  }
}
