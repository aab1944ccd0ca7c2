import type { FailureClass } from "@tributary/domain"

/** An answer as it came over the wire. Names of headers are in lower case. */
export interface WireResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: string
}

/** A token answer in the form that RFC 6749 (section 5.1) prescribes. */
export interface TokenBody {
  readonly access_token: string
  readonly token_type: "bearer"
  /** Seconds. */
  readonly expires_in?: number
  readonly refresh_token?: string
  /** Seconds that the refresh token lives, where the server says so. */
  readonly refresh_token_expires_in?: number
  readonly scope?: string
  /** As it came: whoever asked for it has to validate it (OIDC Core, section 3.1.3.7); nobody else may use it. */
  readonly id_token?: string
}

/** Anything but tokens: what kind of failure, what the server said, what to do. */
export interface Refusal {
  readonly failureClass: FailureClass
  /** The `error` code, when the server gave one, in lower case. */
  readonly code: string | undefined
  /** What the server said, without what looks like a token; secrets of the request are not known here and may be in it. */
  readonly problem: string
  readonly advice: string
  /** Milliseconds. */
  readonly retryAfter: number | undefined
  /** Whether the server may have carried the request out all the same. */
  readonly isUncertain: boolean
}

export type Normalised =
  | { readonly _tag: "Tokens"; readonly body: TokenBody }
  | ({ readonly _tag: "Refusal" } & Refusal)

/** An object of JSON, or a form as one. */
export type Json = Readonly<Record<string, unknown>>

/** A path of names from the top of an answer, as `authed_user.access_token`. A name with a dot in it is found as well. */
export type AnswerPath = string

/**
 * What a server does that cannot be seen from its answers alone. Everything else is recognised without being told. Comes
 * from a provider profile or from a person's settings.
 */
export interface ResponseQuirks {
  /** Where the access token stands, before the usual places. The only way to use an `id_token` or a cookie-like value as one. */
  readonly access_token?: ReadonlyArray<AnswerPath>
  readonly refresh_token?: ReadonlyArray<AnswerPath>
  /** Where the lifetime or the end of the access token stands. */
  readonly expires?: ReadonlyArray<AnswerPath>
  /** What a relative lifetime counts. Default: seconds. */
  readonly expires_unit?: "seconds" | "milliseconds" | "minutes"
  readonly refresh_token_expires?: ReadonlyArray<AnswerPath>
  /** Lifetime in seconds where the answer tells none. */
  readonly default_expires_in?: number
  readonly scope?: ReadonlyArray<AnswerPath>
  /** What stands between two scopes. Default: spaces and commas both. */
  readonly scope_separator?: " " | ","
  /** Take the token as a bearer token although the answer names another type. */
  readonly is_bearer?: boolean
  /** What the server's own words mean, looked for in its code and description without regard to case. First match wins. */
  readonly errors?: ReadonlyArray<{ readonly says: string; readonly means: FailureClass }>
}
