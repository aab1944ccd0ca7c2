import { Auth, type Connector, type OAuth2 } from "@tributary/domain"
import { Result, Schema } from "effect"
import { hasEquivalent, withEquivalent } from "../component/authenticatorVariants.ts"
import { Component } from "../component/Component.ts"
import * as Dpath from "../component/Dpath.ts"
import { Expressions } from "../component/Expressions.ts"
import { failure, toRunError } from "../component/RunError.ts"
import type { Environment } from "../expression/CompiledTemplate.ts"
import { dictEntries, dictOf } from "../expression/Dict.ts"
import { str } from "../expression/Repr.ts"
import { isPlainDict, type Value } from "../expression/Value.ts"
import type { Manifest } from "../manifest/Manifest.ts"
import { isReference, valueOf } from "./Config.ts"
import { streamNameOf } from "./streamNameOf.ts"

const decodeAuth = Schema.decodeUnknownResult(Auth, { errors: "all", onExcessProperty: "error" })
const sameAuth = Schema.toEquivalence(Auth)

/** What a manifest's OAuth2 comes to as `auth` of a connector file. */
type Found = { readonly _tag: "None" } | { readonly _tag: "Auth"; readonly auth: Auth } | Unsaid

/** It cannot be said in the file's words, and a refresh token would not be safe in the manifest's own hands. */
interface Unsaid {
  readonly _tag: "Problem"
  readonly problem: string
}

const none: Found = { _tag: "None" }
const problem = (text: string): Unsaid => ({ _tag: "Problem", problem: text })

/** Settings of the component that the token layer has no words for, with the value that is as good as none. */
const unusual: Readonly<Record<string, string>> = {
  client_id_name: "client_id",
  client_secret_name: "client_secret",
  grant_type_name: "grant_type",
  refresh_token_name: "refresh_token"
}

/** Parameters of a token request that have settings of their own. */
const standard = new Set(["grant_type", "client_id", "client_secret", "refresh_token"])

/** The header by which a client authenticates with its identifier and secret, both still references. */
const isBasic = (header: string, id: string, secret: string): boolean => {
  const encoded = /^Basic (.+)$/iu.exec(header)?.[1]
  return encoded !== undefined && Buffer.from(encoded, "base64").toString("utf8") === `${id}:${secret}`
}

/** One `OAuthAuthenticator` as `auth`; its templates are evaluated with references in the place of secrets. */
const settingsOf = (component: Component, expressions: Expressions): Found => {
  const { parameters } = component
  const text = (name: string): string | undefined => {
    const given = component.get(name)
    return given === undefined ? undefined : str(expressions.value(given, parameters))
  }
  if (!component.has("token_refresh_endpoint")) return none
  const usesAssertion = component.get("use_profile_assertion")
  if (usesAssertion !== undefined && usesAssertion !== false && usesAssertion !== "") return none
  const updater = component.child("refresh_token_updater")
  const grant = text("grant_type") ?? "refresh_token"
  const isRefresh = grant === "refresh_token"
  // Without a refresh token there is nothing to lose: the component gets its tokens itself.
  const unsaid = (what: string): Found =>
    isRefresh
      ? problem(
          `${component.path}: ${what}, which cannot be taken over. Write the authorization as \`auth\` in this file.`
        )
      : none
  for (const [name, usual] of Object.entries(unusual)) {
    const value = text(name)
    if (value !== undefined && value !== usual) return unsaid(`${name} is ${value}`)
  }
  if (component.isSet("send_refresh_request_as_query_params")) return unsaid("the refresh request is a query")
  const mapping = (name: string): Readonly<Record<string, string>> => {
    const dict = dictOf(component.get(name))
    if (dict === undefined) return {}
    const plain = Object.fromEntries(dictEntries(dict).map(([key, item]) => [str(key), item]))
    return Object.fromEntries(expressions.mapping(plain, parameters).map(([key, item]) => [str(key), str(item)]))
  }
  const path = updater?.texts("refresh_token_config_path") ?? []
  const stored = Dpath.get(expressions.config ?? {}, path.length > 0 ? path : ["credentials", "refresh_token"])
  const refreshToken = updater === undefined ? text("refresh_token") : stored === undefined ? undefined : str(stored)
  // Without one there is nothing to lose.
  if (isRefresh && updater === undefined && (refreshToken ?? "") === "") return none
  const id = text("client_id")
  const secret = text("client_secret")
  if (isRefresh && (refreshToken === undefined || !isReference(refreshToken))) {
    return unsaid("its refresh token is no reference such as ${env:NAME}")
  }
  if (secret !== undefined && secret !== "" && !isReference(secret)) {
    return unsaid("its client secret is no reference such as ${env:NAME}")
  }
  const headers: Record<string, string> = {}
  const way = component.optionalText("client_authentication") ?? "body"
  // An assertion is signed by the component itself.
  if (way !== "body" && way !== "basic") return unsaid(`the client authenticates by ${way}`)
  let clientAuth = secret === undefined || secret === "" ? "none" : way === "basic" ? "basic_raw" : "post"
  for (const [name, value] of Object.entries(mapping("refresh_request_headers"))) {
    if (/^content-type$/iu.test(name)) {
      if (!value.includes("form-urlencoded")) return unsaid(`the refresh request's content type is ${value}`)
    } else if (/^authorization$/iu.test(name)) {
      if (!isBasic(value, id ?? "", secret ?? ""))
        return unsaid("the refresh request has a header Authorization of its own")
      clientAuth = "basic_raw"
    } else headers[name] = value
  }
  const quirks = {
    ...(component.has("access_token_name") ? { access_token: [text("access_token_name") ?? ""] } : {}),
    ...(component.has("expires_in_name") ? { expires: [text("expires_in_name") ?? ""] } : {}),
    ...(updater?.has("refresh_token_name") === true
      ? { refresh_token: [str(expressions.value(updater.get("refresh_token_name") ?? "", parameters))] }
      : {}),
    // As in the CDK.
    default_expires_in: "1 hour",
    is_bearer: true
  }
  // Of the same names, the component's own settings go before those of the body.
  const { audience, scope, ...params } = Object.fromEntries(
    Object.entries(mapping("refresh_request_body")).filter(([name]) => !standard.has(name))
  )
  const written = component.texts("scopes").map((one) => expressions.text(one, parameters))
  const scopes = written.length > 0 ? written : (scope ?? "").split(/\s+/u).filter((one) => one !== "")
  const decoded = decodeAuth({
    ...(isRefresh
      ? { oauth2: "refresh_token", refresh_token: refreshToken }
      : grant === "client_credentials"
        ? { oauth2: "client_credentials" }
        : { oauth2: "custom", custom: { grant_type: grant, params: {} } }),
    token_url: text("token_refresh_endpoint"),
    ...(id === undefined || id === "" ? {} : { client_id: id }),
    ...(secret === undefined || secret === "" ? {} : { client_secret: secret }),
    client_auth: clientAuth,
    ...(scopes.length === 0 ? {} : { scopes }),
    ...(audience === undefined ? {} : { audience }),
    quirks,
    token_request: { params, headers }
  })
  if (Result.isFailure(decoded)) return unsaid(`its settings do not fit (${decoded.failure.message.split("\n", 1)[0]})`)
  return { _tag: "Auth", auth: decoded.success }
}

/** Whether the config chooses this component where a `SelectiveAuthenticator` has several. */
const isChosen = (manifest: Manifest, path: string, expressions: Expressions): boolean =>
  manifest.used.every((used) => {
    if (used.type !== "SelectiveAuthenticator" || !path.startsWith(`${used.path}.authenticators.`)) return true
    const chosen = Dpath.get(
      expressions.config ?? {},
      new Component(used.data, used.path).texts("authenticator_selection_path")
    )
    const name = path.slice(used.path.length + ".authenticators.".length).split(".", 1)[0]
    return chosen !== undefined && str(chosen) === name
  })

/** The OAuth2 authorizations of a manifest, in its order. */
type Authorizations =
  | { readonly _tag: "Authorizations"; readonly list: ReadonlyArray<{ readonly auth: Auth; readonly name: string }> }
  | Unsaid

/** Names an authorization by the stream that has it. */
const nameOf = (manifest: Manifest, connector: Connector, path: string): string => {
  const index = /^streams\[(\d+)\]/u.exec(path)?.[1]
  const { streams } = manifest.data
  const stream: Value | undefined = index === undefined || !Array.isArray(streams) ? undefined : streams[Number(index)]
  const name = stream !== undefined && stream !== null && isPlainDict(stream) ? stream["name"] : undefined
  return `${connector.connector}--${streamNameOf(typeof name === "string" ? name : path)}`.slice(0, 64)
}

/** The reference of a refresh token that is replaced when it is used. */
const rotatingIn = (component: Component, auth: Auth): string | undefined =>
  component.child("refresh_token_updater") !== undefined && "refresh_token" in auth ? auth.refresh_token : undefined

const authorizationsOf = (manifest: Manifest, connector: Connector, environment: Environment): Authorizations => {
  const expressions = new Expressions(valueOf(connector.config ?? {}), environment)
  const list: Array<{ readonly auth: Auth; readonly name: string; readonly rotating: string | undefined }> = []
  for (const { data, path, type } of manifest.used) {
    const isCustom = type === "CustomAuthenticator" && hasEquivalent(data)
    if ((type !== "OAuthAuthenticator" && !isCustom) || !isChosen(manifest, path, expressions)) continue
    try {
      const component = withEquivalent(new Component(data, path), expressions)
      if (component.type !== "OAuthAuthenticator") continue
      const one = settingsOf(component, expressions)
      if (one._tag === "Problem") return one
      if (one._tag === "None" || list.some(({ auth }) => sameAuth(auth, one.auth))) continue
      const rotating = rotatingIn(component, one.auth)
      if (rotating !== undefined && list.some((other) => other.rotating === rotating)) {
        return problem(
          `${path}: two OAuth2 authorizations that are not the same use ${rotating}, which is good for one of them only. Write the one that is meant as \`auth\` in this file.`
        )
      }
      list.push({ auth: one.auth, name: nameOf(manifest, connector, path), rotating })
    } catch (error) {
      return problem(`${path}: ${toRunError(error).message}`)
    }
  }
  return { _tag: "Authorizations", list }
}

/**
 * The manifest's own OAuth2 as `auth` of the connector file; references of the config stay references. Where there are several, the
 * first one is the connector's.
 */
export const oauthOf = (manifest: Manifest, connector: Connector, environment: Environment): Found => {
  const found = authorizationsOf(manifest, connector, environment)
  if (found._tag === "Problem") return found
  const [first] = found.list
  return first === undefined ? none : { _tag: "Auth", auth: first.auth }
}

/** The manifest's OAuth2 authorizations beside the connector's, each under the name that its tokens have in the vault. */
export const furtherOAuthOf = (
  manifest: Manifest,
  connector: Connector,
  environment: Environment
): ReadonlyArray<OAuth2> => {
  const found = authorizationsOf(manifest, connector, environment)
  if (found._tag === "Problem") return []
  const [first, ...further] = found.list
  // One that the file has stands in the place of all.
  if (first === undefined || connector.auth === undefined || !sameAuth(first.auth, connector.auth)) return []
  return further.flatMap(({ auth, name }) => ("oauth2" in auth ? [{ ...auth, authorization: name }] : []))
}

/** Which authorization is an `OAuthAuthenticator`'s: the connector's, one beside it, or none, if it gets its tokens itself. */
export type AuthFor = (component: Component) => "connector" | Auth | undefined

/** Whose authorization `auth` is: the manifest's, or one that the file has in place of all of the manifest's. */
export const authOf = (
  manifest: Manifest,
  connector: Connector,
  environment: Environment
): "file" | AuthFor | undefined => {
  const { auth: own } = connector
  if (own === undefined) return undefined
  const found = authorizationsOf(manifest, connector, environment)
  if (found._tag === "Problem") return "file"
  const [first] = found.list
  if (first === undefined || !sameAuth(first.auth, own)) return "file"
  // References stand in the place of secrets, as where the list was made.
  const expressions = new Expressions(valueOf(connector.config ?? {}), environment)
  return (component) => {
    const one = settingsOf(component, expressions)
    if (one._tag === "None") return undefined
    if (one._tag === "Problem") throw failure(one.problem, "config_error")
    const { auth } = one
    if (sameAuth(auth, own)) return "connector"
    const known = found.list.find((other) => sameAuth(other.auth, auth))
    const name = known?.name ?? nameOf(manifest, connector, component.path)
    return "oauth2" in auth ? { ...auth, authorization: name } : auth
  }
}
