import { FailureClass } from "@tributary/domain"
import { Result, Schema } from "effect"
import { fact, Span, Words } from "./Fact.ts"

/** An address in which `{name}` stands for a parameter of the profile. Always https. */
const TemplateUrl = Schema.String.check(
  Schema.isPattern(
    /^https:\/\/(?:[A-Za-z0-9.-]|\{[a-z][a-z0-9_]*\})+(?:\/[^\s{}?#]*(?:\{[a-z][a-z0-9_]*\}[^\s{}?#]*)*)?$/u,
    {
      expected: "an https address, in which {name} may stand for a parameter"
    }
  )
)
const SourceUrl = Schema.String.check(
  Schema.isPattern(/^https:\/\/[A-Za-z0-9.-]+(?:\/\S*)?$/u, { expected: "an https address" })
)
const ProfileId = Schema.String.check(
  Schema.isPattern(/^[a-z][a-z0-9]*(?:-[a-z0-9]+)*$/u, { expected: "small letters and digits with single hyphens" })
)
const ParamName = Schema.String.check(Schema.isPattern(/^[a-z][a-z0-9_]*$/u))
const Path = Schema.String.check(Schema.isPattern(/^\S+$/u))
const Texts = Schema.Record(Schema.String, Schema.String)
const Positive = Schema.Int.check(Schema.isGreaterThan(0))
const Paths = Schema.Array(Path).check(Schema.isMinLength(1))

/** How a client proves who it is at the token endpoint. `basic_raw`: HTTP Basic without form-encoding of the two parts. */
export const ClientAuth = Schema.Literals([
  "basic",
  "basic_raw",
  "post",
  "none",
  "client_secret_jwt",
  "private_key_jwt",
  "tls_client_auth"
])
export type ClientAuth = typeof ClientAuth.Type

const isExpression = Schema.makeFilter((pattern: string) =>
  Result.isSuccess(Result.try(() => new RegExp(`^(?:${pattern})$`, "u"))) ? undefined : "expected a regular expression"
)

const spanOr = <const Names extends ReadonlyArray<string>>(names: Names) =>
  Schema.Union([Span, Schema.Literals(names)]).annotate({
    expected: `a number with seconds, minutes, hours or days, as \`90 days\`, or ${names.join(", ")}`
  })

const Param = Schema.Struct({
  description: Words,
  example: Words,
  default: Schema.optionalKey(Schema.String),
  pattern: Schema.optionalKey(
    Schema.String.check(isExpression).annotate({
      description: "Expression that the whole value matches. Default: one label of a host name."
    })
  )
})

const Endpoints = Schema.Struct({
  issuer: Schema.optionalKey(fact(TemplateUrl, "Issuer; other endpoints can be discovered from it (RFC 8414, OIDC).")),
  authorization: Schema.optionalKey(fact(TemplateUrl, "Where a person consents.")),
  token: Schema.optionalKey(fact(TemplateUrl, "Where tokens are asked for.")),
  refresh: Schema.optionalKey(fact(TemplateUrl, "Where they are refreshed, if elsewhere.")),
  revocation: Schema.optionalKey(fact(TemplateUrl, "Where tokens are revoked (RFC 7009 or like it).")),
  introspection: Schema.optionalKey(fact(TemplateUrl, "Where tokens are looked at (RFC 7662).")),
  device_authorization: Schema.optionalKey(fact(TemplateUrl, "Where a device asks for its codes (RFC 8628)."))
})

const Request = Schema.Struct({
  client_auth: Schema.optionalKey(fact(ClientAuth, "How the client proves who it is. Default: basic.")),
  client_id_param: Schema.optionalKey(fact(Path, "Name of the parameter `client_id`, if another.")),
  scope_separator: Schema.optionalKey(
    fact(Schema.Literals([" ", ","]), "What stands between scopes. Default: a space.")
  ),
  offline_scopes: Schema.optionalKey(
    fact(Schema.Array(Path), "Scopes without which no refresh token is issued; asked for in any case.")
  ),
  pkce: Schema.optionalKey(
    fact(Schema.Literals(["required", "supported", "unsupported"]), "Proof key for code exchange (RFC 7636).")
  ),
  authorization_params: Schema.optionalKey(fact(Texts, "Parameters added where a person consents.")),
  grant_params: Schema.optionalKey(
    fact(
      Schema.Record(Path, Texts),
      "Parameters added to token requests, by grant type. {name} stands for a parameter."
    )
  ),
  headers: Schema.optionalKey(fact(Texts, "Headers of token requests.")),
  body: Schema.optionalKey(
    fact(Schema.Literals(["form", "json", "query"]), "Form of token requests. Default: form, as RFC 6749 wants it.")
  ),
  audience: Schema.optionalKey(fact(Words, "Value of `audience`.")),
  resource: Schema.optionalKey(fact(Words, "Value of `resource` (RFC 8707)."))
})

const Meaning = Schema.Struct({ says: Words, means: FailureClass })

const Response = Schema.Struct({
  access_token: Schema.optionalKey(fact(Paths, "Where the access token stands, if not at access_token.")),
  refresh_token: Schema.optionalKey(fact(Paths, "Where the refresh token stands.")),
  expires: Schema.optionalKey(fact(Paths, "Where the lifetime or end of the access token stands.")),
  expires_unit: Schema.optionalKey(
    fact(Schema.Literals(["seconds", "milliseconds", "minutes"]), "What lifetimes count. Default: seconds.")
  ),
  refresh_token_expires: Schema.optionalKey(fact(Paths, "Where the lifetime or end of the refresh token stands.")),
  default_expires_in: Schema.optionalKey(fact(Span, "Lifetime of an access token whose answer tells none.")),
  scope: Schema.optionalKey(fact(Paths, "Where the granted scopes stand.")),
  scope_separator: Schema.optionalKey(fact(Schema.Literals([" ", ","]), "What stands between granted scopes.")),
  is_bearer: Schema.optionalKey(fact(Schema.Boolean, "Tokens are bearer tokens whatever their type says.")),
  errors: Schema.optionalKey(
    fact(Schema.Array(Meaning).check(Schema.isMinLength(1)), "What the provider's own words mean.")
  )
})

/**
 * How tokens live and die. These decide whether a lost answer can be asked for again, how early a token may be replaced,
 * and when a person has to be told to authorize anew.
 */
const Lifecycle = Schema.Struct({
  access_token_life: Schema.optionalKey(fact(spanOr(["unlimited"]), "How long an access token lives.")),
  rotation: Schema.optionalKey(
    fact(
      Schema.Literals(["never", "sometimes", "always"]),
      "Whether a refresh answers with a new refresh token. Unknown counts as always."
    )
  ),
  grace: Schema.optionalKey(
    fact(
      spanOr(["none", "until_next_use", "unlimited"]),
      "How long a refresh token that was replaced can be used again; `until_next_use`: until one of the new tokens is used."
    )
  ),
  reuse: Schema.optionalKey(
    fact(
      Schema.Literals(["accepted", "refused", "revokes_family"]),
      "What the use of a replaced refresh token after the grace leads to; `revokes_family`: its successors die as well."
    )
  ),
  early_refresh: Schema.optionalKey(
    fact(Schema.Literals(["allowed", "refused"]), "Whether a token may be refreshed before it has expired.")
  ),
  refresh_window: Schema.optionalKey(
    fact(Span, "How long before its end a token may be refreshed, where earlier requests are refused or punished.")
  ),
  previous_access_token: Schema.optionalKey(
    fact(Schema.Literals(["valid", "revoked"]), "What a refresh makes of the access token before it.")
  ),
  idle_life: Schema.optionalKey(
    fact(spanOr(["unlimited"]), "How long a refresh token lives unused; each refresh begins the time anew.")
  ),
  absolute_life: Schema.optionalKey(
    fact(spanOr(["unlimited"]), "How long after consent refresh tokens live, however often they are used.")
  ),
  refresh_tokens_per_user: Schema.optionalKey(
    fact(Positive, "Refresh tokens that live at once for one person and client; with one more the oldest dies.")
  ),
  access_tokens_per_refresh_token: Schema.optionalKey(
    fact(Positive, "Access tokens that live at once for one refresh token; with one more the oldest dies.")
  ),
  token_requests: Schema.optionalKey(
    fact(
      Schema.Struct({
        requests: Positive,
        per: Span,
        by: Schema.Literals(["client", "user", "refresh_token", "address"])
      }),
      "Token requests that are answered in a time."
    )
  )
})

const placeholders = (written: string): ReadonlyArray<string> =>
  [...written.matchAll(/\{([a-z][a-z0-9_]*)\}/gu)].flatMap(([, name]) => (name === undefined ? [] : [name]))

const strings = (value: unknown): ReadonlyArray<string> => {
  if (typeof value === "string") return [value]
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(strings) : []
}

const Shape = Schema.Struct({
  id: ProfileId.annotate({ description: "Name by which connectors refer to it; the name of the file." }),
  name: Words.annotate({ description: "The provider's own name." }),
  note: Schema.optionalKey(Words.annotate({ description: "What a person has to know before using it." })),
  sources: Schema.Record(ParamName, SourceUrl).annotate({
    description: "Pages of public documentation, by short names."
  }),
  params: Schema.optionalKey(
    Schema.Record(ParamName, Param).annotate({ description: "What {name} stands for in addresses and parameters." })
  ),
  grants: fact(Schema.Array(Path).check(Schema.isMinLength(1)), "Grant types that the provider knows."),
  endpoints: Endpoints,
  request: Schema.optionalKey(Request),
  response: Schema.optionalKey(Response),
  lifecycle: Schema.optionalKey(Lifecycle)
})

/** Places of facts, as `lifecycle.rotation`, with how they are known. */
export interface ListedFact {
  readonly place: string
  readonly value: unknown
  readonly source: string | undefined
}

const factOf = (value: unknown): { readonly value: unknown; readonly source: string | undefined } | undefined => {
  if (typeof value !== "object" || value === null || !("value" in value)) return undefined
  return {
    value: value.value,
    source: "source" in value && typeof value.source === "string" ? value.source : undefined
  }
}

/** Every fact of a profile. `source` is the address; `undefined` where it is unverified. */
export const factsOf = (profile: typeof Shape.Type): ReadonlyArray<ListedFact> => {
  const { endpoints, grants, lifecycle = {}, request = {}, response = {}, sources } = profile
  const groups: ReadonlyArray<readonly [string, object]> = [
    ["", { grants }],
    ["endpoints.", endpoints],
    ["request.", request],
    ["response.", response],
    ["lifecycle.", lifecycle]
  ]
  return groups.flatMap(([group, facts]) =>
    Object.entries(facts).flatMap(([name, entry]) => {
      const found = factOf(entry)
      if (found === undefined) return []
      const source = found.source === undefined ? undefined : sources[found.source]
      return [{ place: `${group}${name}`, value: found.value, source }]
    })
  )
}

const issue = (path: ReadonlyArray<string>, problem: string) => ({ path, issue: problem })

/** What no single part of a profile can see: names that stand for nothing, and values that contradict each other. */
const isConsistent = Schema.makeFilter((profile: typeof Shape.Type) => {
  const { endpoints, lifecycle = {}, params = {}, request = {}, response = {}, sources } = profile
  const used = placeholders(strings({ endpoints, request }).join(" "))
  const groups = { endpoints, request, response, lifecycle, grants: { grants: profile.grants } }
  const named = Object.entries(groups).flatMap(([group, facts]) =>
    Object.entries(facts).flatMap(([name, entry]) => {
      const source: unknown = typeof entry === "object" && "source" in entry ? entry.source : undefined
      return typeof source === "string" ? [{ path: group === "grants" ? [group] : [group, name], source }] : []
    })
  )
  const cited = new Set(named.map(({ source }) => source))
  return [
    ...named
      .filter(({ source }) => !Object.hasOwn(sources, source))
      .map(({ path, source }) => issue([...path, "source"], `expected a name of sources, found ${source}`)),
    ...Object.keys(sources)
      .filter((name) => !cited.has(name))
      .map((name) => issue(["sources", name], "expected a fact that names it")),
    ...used
      .filter((name) => !Object.hasOwn(params, name))
      .map((name) => issue(["params"], `expected ${name}, which an address or parameter uses`)),
    ...Object.keys(params)
      .filter((name) => !used.includes(name))
      .map((name) => issue(["params", name], "expected an address or parameter that uses it")),
    ...(endpoints.token === undefined && endpoints.issuer === undefined
      ? [issue(["endpoints"], "expected token or issuer")]
      : []),
    ...(lifecycle.rotation?.value === "never" && (lifecycle.grace !== undefined || lifecycle.reuse !== undefined)
      ? [issue(["lifecycle", "rotation"], "expected no grace and reuse where refresh tokens are never replaced")]
      : []),
    ...(lifecycle.grace?.value === "unlimited" && lifecycle.reuse !== undefined && lifecycle.reuse.value !== "accepted"
      ? [issue(["lifecycle", "reuse"], "expected accepted, since the grace is unlimited")]
      : [])
  ]
})

/** What is known of a provider's OAuth2, as it stands in a file of `profiles/`. */
export const Profile = Shape.check(isConsistent).annotate({
  identifier: "ProviderProfile",
  description: "What is known of a provider's OAuth2, with the source of each fact."
})
export type Profile = typeof Profile.Type

/** Settings that the schema does not name are mistakes, in an editor as for the loader. */
const closed = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(closed)
  if (typeof schema !== "object" || schema === null) return schema
  return Object.fromEntries(
    Object.entries(schema).map(([keyword, value]: [string, unknown]) => [
      keyword,
      keyword === "additionalProperties" && value === true ? false : closed(value)
    ])
  )
}

/** The JSON Schema of profile files, for editors. */
export const profileEditorSchema = (): Readonly<Record<string, unknown>> => {
  const { definitions, schema } = Schema.toJsonSchemaDocument(Profile)
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Tributary provider profile",
    ...schema,
    $defs: closed(definitions)
  }
}
