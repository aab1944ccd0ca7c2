import type { OAuth2 } from "@tributary/domain"
import { Result } from "effect"
import type { ResponseQuirks } from "../response/Answer.ts"
import type { Profile } from "./Profile.ts"
import { ProfileError } from "./ProfileError.ts"

type Texts = Readonly<Record<string, string>>
type Known<Facts> = {
  readonly [Name in keyof Facts]?: NonNullable<Facts[Name]> extends { readonly value: infer Value } ? Value : never
}

/** How a provider's tokens live and die, without where that is known from. Lengths of time are in seconds. */
export type Lifecycle = Known<NonNullable<Profile["lifecycle"]>>

/** What a person writes beside `provider`. All of it goes before what the profile says. References are replaced already. */
export interface ProviderChoice {
  readonly params?: Texts
  /** Grant type. Default: the first of the profile. */
  readonly grant?: string
  readonly issuer?: string
  readonly authorization_url?: string
  readonly token_url?: string
  readonly refresh_url?: string
  readonly revocation_url?: string
  readonly introspection_url?: string
  readonly device_authorization_url?: string
  readonly client_auth?: OAuth2["client_auth"]
  readonly scopes?: ReadonlyArray<string>
  readonly audience?: string
  readonly resource?: string
  /** Added to what the profile adds; an empty value takes a parameter of the profile away. */
  readonly authorization_params?: Texts
  readonly token_params?: Texts
  readonly headers?: Texts
  readonly quirks?: ResponseQuirks
  readonly lifecycle?: Lifecycle
}

/** Everything that token requests, their answers and the keeping of tokens need to know of a provider. */
export interface ProviderSettings {
  readonly provider: string
  readonly grant: string
  readonly issuer: URL | undefined
  readonly authorizationUrl: URL | undefined
  readonly tokenUrl: URL | undefined
  /** Where refresh requests go; the token endpoint if it is the same. */
  readonly refreshUrl: URL | undefined
  readonly revocationUrl: URL | undefined
  readonly introspectionUrl: URL | undefined
  readonly deviceAuthorizationUrl: URL | undefined
  readonly clientAuth: NonNullable<OAuth2["client_auth"]>
  /** Name of the parameter that holds the client's id. */
  readonly clientIdParam: string
  /** Value of the `scope` parameter of token requests; empty: none is sent, and a refresh keeps what was granted. */
  readonly scope: string
  /** Value of the `scope` parameter where a person consents: what is asked for, and what a refresh token needs. */
  readonly consentScope: string
  readonly audience: string | undefined
  readonly resource: string | undefined
  readonly pkce: "required" | "supported" | "unsupported"
  readonly authorizationParams: Texts
  /** Parameters added to token requests of `grant`. */
  readonly tokenParams: Texts
  /** Parameters that the profile adds to token requests, by grant type. */
  readonly grantParams: Readonly<Record<string, Texts>>
  readonly headers: Texts
  readonly body: "form" | "json" | "query"
  readonly response: ResponseQuirks
  readonly lifecycle: Lifecycle
}

const defaultPattern = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"

/** Grants by which a person's consent is used: there the scope that refresh tokens need was asked for. */
const personal = new Set(["refresh_token", "authorization_code", "urn:ietf:params:oauth:grant-type:device_code"])

const isTemplate = /\{([a-z][a-z0-9_]*)\}/gu

const wrong = (provider: string, place: string, found: string, expected: string, advice: string) =>
  new ProfileError({ provider, place, found, expected, advice, failureClass: "misconfigured" })

/** Values of facts by their names. */
const known = <Facts extends object>(facts: Facts | undefined): Known<Facts> => {
  const values: Known<Facts> = {}
  return Object.assign(
    values,
    Object.fromEntries(
      Object.entries(facts ?? {}).flatMap(([name, fact]: [string, unknown]) =>
        typeof fact === "object" && fact !== null && "value" in fact ? [[name, fact.value]] : []
      )
    )
  )
}

/**
 * What is known for sure enough to act on. That a refresh token can be sent again after its answer was lost is believed only
 * with a source: where the belief is wrong, the provider takes the repetition for a theft and revokes the grant.
 */
const cautious = ({ lifecycle }: Profile): Lifecycle => {
  const { grace, rotation, ...rest } = known(lifecycle)
  const isSure = (fact: { readonly unverified?: true } | undefined) => fact?.unverified !== true
  return {
    ...rest,
    ...(grace !== undefined && (grace === "none" || isSure(lifecycle?.grace)) ? { grace } : {}),
    ...(rotation !== undefined && (rotation !== "never" || isSure(lifecycle?.rotation)) ? { rotation } : {})
  }
}

/** What is known of a server without a profile: nothing but what a person writes. */
export const noProfile = (grant: string): Profile => ({
  id: "",
  name: "",
  sources: {},
  grants: { value: [grant], unverified: true },
  endpoints: {}
})

/** The parameters in full: what is given, and defaults. A value cannot lead an address to another host than it may name. */
const paramsOf = (profile: Profile, given: Texts): Result.Result<Texts, ProfileError> => {
  const params = profile.params ?? {}
  const names = Object.keys(params)
  const unknown = Object.keys(given).find((name) => !names.includes(name))
  if (unknown !== undefined) {
    const expected = names.length === 0 ? "no params" : `one of ${names.join(", ")}`
    return Result.fail(
      wrong(profile.id, `params.${unknown.slice(0, 64)}`, "an unknown parameter", expected, "Remove it.")
    )
  }
  const full: Record<string, string> = {}
  for (const [name, { default: fallback, description, example, pattern }] of Object.entries(params)) {
    const value = given[name] ?? fallback
    const place = `params.${name}`
    if (value === undefined) {
      return Result.fail(wrong(profile.id, place, "nothing", description, `Give it, as ${name}: ${example}.`))
    }
    if (!new RegExp(`^(?:${pattern ?? defaultPattern})$`, "u").test(value)) {
      return Result.fail(wrong(profile.id, place, "a value that does not fit", description, `Write it as ${example}.`))
    }
    full[name] = value
  }
  return Result.succeed(full)
}

const filled = (template: string, params: Texts): string =>
  template.replaceAll(isTemplate, (_, name: string) => params[name] ?? "")

const allFilled = (templates: Texts | undefined, params: Texts): Texts =>
  Object.fromEntries(Object.entries(templates ?? {}).map(([name, template]) => [name, filled(template, params)]))

const withoutEmpty = (texts: Texts): Texts =>
  Object.fromEntries(Object.entries(texts).filter(([, value]) => value !== ""))

const isHttpUrl = (value: string) => URL.canParse(value) && /^https?:$/u.test(new URL(value).protocol)

/**
 * Brings a profile and a person's settings together; the person's go first. Reads nothing and asks nobody. Addresses of
 * profiles are https; whether a person's may be http is decided where requests are made.
 */
export const applyProfile = (profile: Profile, choice: ProviderChoice): Result.Result<ProviderSettings, ProfileError> =>
  Result.gen(function* () {
    const params = yield* paramsOf(profile, choice.params ?? {})
    const grant = choice.grant ?? profile.grants.value[0] ?? ""
    if (!profile.grants.value.includes(grant)) {
      const expected = `one of ${profile.grants.value.join(", ")}`
      return yield* Result.fail(
        wrong(
          profile.id,
          "oauth2",
          `the grant ${grant.slice(0, 64)}`,
          expected,
          "Choose a grant that the provider knows."
        )
      )
    }
    const url = (place: string, own: string | undefined, fact: { readonly value: string } | undefined) => {
      const address = own ?? (fact === undefined ? undefined : filled(fact.value, params))
      if (address === undefined) return Result.succeed(undefined)
      return isHttpUrl(address)
        ? Result.succeed(new URL(address))
        : Result.fail(wrong(profile.id, place, "what is no address", "an address", "Write it in full, with https://."))
    }
    const { endpoints } = profile
    // An issuer of the person's own is another server: what the profile knows of the first one's endpoints is of no use.
    const from = choice.issuer === undefined ? endpoints : {}
    const tokenUrl = yield* url("token_url", choice.token_url, from.token)
    const refresh = choice.token_url === undefined ? from.refresh : undefined
    const request = known(profile.request)
    const grantParams = Object.fromEntries(
      Object.entries(request.grant_params ?? {}).map(([type, texts]) => [type, withoutEmpty(allFilled(texts, params))])
    )
    const separator = request.scope_separator ?? " "
    const scopes = choice.scopes ?? []
    const offline = [...new Set([...scopes, ...(request.offline_scopes ?? [])])].join(separator)
    // A refresh that names scopes narrows what was granted to them, so the one that refresh tokens need is among them.
    const isOfPerson = personal.has(grant) && scopes.length > 0
    const audience = choice.audience ?? (request.audience === undefined ? undefined : filled(request.audience, params))
    const resource = choice.resource ?? (request.resource === undefined ? undefined : filled(request.resource, params))
    return {
      provider: profile.id,
      grant,
      issuer: yield* url("issuer", choice.issuer, choice.token_url === undefined ? endpoints.issuer : undefined),
      authorizationUrl: yield* url("authorization_url", choice.authorization_url, from.authorization),
      tokenUrl,
      refreshUrl: (yield* url("refresh_url", choice.refresh_url, refresh)) ?? tokenUrl,
      revocationUrl: yield* url("revocation_url", choice.revocation_url, from.revocation),
      introspectionUrl: yield* url("introspection_url", choice.introspection_url, from.introspection),
      deviceAuthorizationUrl: yield* url(
        "device_authorization_url",
        choice.device_authorization_url,
        from.device_authorization
      ),
      clientAuth: choice.client_auth ?? request.client_auth ?? "basic",
      clientIdParam: request.client_id_param ?? "client_id",
      scope: isOfPerson ? offline : scopes.join(separator),
      consentScope: offline,
      audience,
      resource,
      pkce: request.pkce ?? "supported",
      authorizationParams: withoutEmpty({
        ...allFilled(request.authorization_params, params),
        ...choice.authorization_params
      }),
      tokenParams: withoutEmpty({ ...grantParams[grant], ...choice.token_params }),
      grantParams,
      headers: withoutEmpty({ ...request.headers, ...choice.headers }),
      body: request.body ?? "form",
      response: { ...known(profile.response), ...choice.quirks },
      lifecycle: { ...cautious(profile), ...choice.lifecycle }
    }
  })
