import type { AnswerPath, Json, ResponseQuirks } from "./Answer.ts"
import { at, atPath, object, text } from "./answerBody.ts"
import { lifetimeOf } from "./lifetimes.ts"

/** Names under which servers send what RFC 6749 names otherwise, the prescribed one first. */
const names = {
  access: ["access_token", "accessToken", "access-token", "AccessToken", "token", "authToken", "auth_token", "jwt"],
  refresh: ["refresh_token", "refreshToken", "refresh-token", "RefreshToken"],
  relative: [
    "expires_in",
    "expiresIn",
    "expires-in",
    "ExpiresIn",
    "expire_in",
    "expireIn",
    "Expire_in",
    "access_token_expires_in",
    "accessTokenExpiresIn"
  ],
  absolute: [
    "expires_at",
    "expiresAt",
    "expires_on",
    "expiresOn",
    ".expires",
    "expires",
    "expiration",
    "expiry",
    "expire_time",
    "expireTime",
    "access_token_expires_at",
    "accessTokenExpiresAt"
  ],
  refreshLife: [
    "refresh_token_expires_in",
    "refresh_expires_in",
    "refreshTokenExpiresIn",
    "x_refresh_token_expires_in",
    "refresh_token_expires_at",
    "refreshTokenExpiresAt",
    "refresh_token_expiry",
    "refresh_token_expiration"
  ],
  scope: ["scope", "scopes", "Scope", "granted_scopes"]
} as const

/** Objects that servers wrap a token answer in; looked into only when the top holds no token. */
const wrappers = [
  "data",
  "result",
  "response",
  "body",
  "payload",
  "authed_user",
  "token",
  "tokens",
  "credentials",
  "auth"
]

/** An object that holds an access token, and the token. */
export interface Found {
  /** Objects to look for the other fields in, nearest first. */
  readonly holders: ReadonlyArray<Json>
  /** As it stands there, which may be anything but `undefined`. */
  readonly access: unknown
  /** Whether it stands where RFC 6749 or the quirks put it, and not where it was guessed. */
  readonly isSure: boolean
}

const parentOf = (json: Json, path: AnswerPath): Json => {
  const end = path.lastIndexOf(".")
  return (end < 0 ? undefined : object(atPath(json, path.slice(0, end)))) ?? json
}

const firstOf = (json: Json, candidates: ReadonlyArray<string>, isFit: (value: unknown) => boolean): unknown => {
  for (const name of candidates) {
    const value = at(json, name)
    if (isFit(value)) return value
  }
  return undefined
}

const isText = (value: unknown) => typeof value === "string" && value.trim() !== ""

/** Finds the access token: where the quirks say, then at the top, then in the usual wrappers, one level deep. */
export const findAccess = (json: Json, quirks: ResponseQuirks): Found | undefined => {
  for (const path of quirks.access_token ?? []) {
    const access = atPath(json, path)
    if (isText(access)) return { holders: [parentOf(json, path), json], access, isSure: true }
  }
  const prescribed = at(json, "access_token")
  if (prescribed !== undefined) return { holders: [json], access: prescribed, isSure: true }
  const top = firstOf(json, names.access, isText)
  if (top !== undefined) return { holders: [json], access: top, isSure: false }
  for (const wrapper of wrappers) {
    const inner = object(at(json, wrapper))
    const access = inner === undefined ? undefined : firstOf(inner, names.access, isText)
    if (inner !== undefined && access !== undefined) return { holders: [inner, json], access, isSure: false }
  }
  return undefined
}

const told = <A>(
  { holders }: Found,
  root: Json,
  paths: ReadonlyArray<AnswerPath> | undefined,
  candidates: ReadonlyArray<string>,
  read: (value: unknown) => A | undefined
): A | undefined => {
  for (const path of paths ?? []) {
    const value = read(atPath(root, path))
    if (value !== undefined) return value
  }
  for (const holder of holders) {
    for (const name of candidates) {
      const value = read(at(holder, name))
      if (value !== undefined) return value
    }
  }
  return undefined
}

const scopesOf =
  (separator: string | RegExp) =>
  (value: unknown): string | undefined => {
    const words = Array.isArray(value) ? value : typeof value === "string" ? value.split(separator) : []
    const scopes = words.flatMap((word) => (typeof word === "string" && word.trim() !== "" ? [word.trim()] : []))
    return scopes.length > 0 ? scopes.join(" ") : undefined
  }

const units = { seconds: 1, milliseconds: 0.001, minutes: 60 } as const

/** The fields beside the access token. A lifetime is preferred to a point in time: it does not depend on two clocks. */
export const fieldsBeside = (found: Found, root: Json, quirks: ResponseQuirks, now: number) => {
  const unit = units[quirks.expires_unit ?? "seconds"]
  const refresh = told(found, root, quirks.refresh_token, names.refresh, (value) =>
    typeof value === "string" ? text(value) : undefined
  )
  const expires =
    told(found, root, quirks.expires, names.relative, (value) => lifetimeOf(value, now, unit)) ??
    told(found, root, undefined, names.absolute, (value) => lifetimeOf(value, now, 1)) ??
    quirks.default_expires_in
  const refreshExpires = told(found, root, quirks.refresh_token_expires, names.refreshLife, (value) =>
    lifetimeOf(value, now, 1)
  )
  const separator = quirks.scope_separator === " " ? /\s+/u : (quirks.scope_separator ?? /[\s,]+/u)
  const scope = told(found, root, quirks.scope, names.scope, scopesOf(separator))
  const idToken = told(found, root, undefined, ["id_token"], (value) =>
    typeof value === "string" ? text(value) : undefined
  )
  return {
    ...(idToken === undefined || idToken === found.access ? {} : { id_token: idToken }),
    ...(expires === undefined ? {} : { expires_in: expires }),
    ...(refresh === undefined ? {} : { refresh_token: refresh }),
    ...(refreshExpires === undefined ? {} : { refresh_token_expires_in: refreshExpires }),
    ...(scope === undefined ? {} : { scope })
  }
}

/** Type of the token in lower case without what is not a letter or digit; `undefined`: not said. */
export const typeOf = ({ holders }: Found): string | undefined => {
  for (const holder of holders) {
    const said = text(at(holder, "token_type") ?? at(holder, "tokenType"))
    if (said !== undefined) return said.toLowerCase().replaceAll(/[^a-z0-9]/gu, "")
  }
  return undefined
}
