import { Secrets } from "@tributary/secrets"
import { Effect } from "effect"
import { isAcceptable, misconfigured } from "../Settings.ts"
import type { TokenError } from "../TokenError.ts"
import type { Authorization } from "../TokenManager.ts"

/** Where a person is asked, as the file says it. */
export interface ConsentSettings {
  readonly authorizationUrl: URL | undefined
  readonly deviceAuthorizationUrl: URL | undefined
  /** As it is registered; without a port it stands for any port of this machine. */
  readonly redirectUri: URL
  readonly params: Readonly<Record<string, string>>
}

const defaultRedirect = "http://127.0.0.1/callback"

/** Whether a browser on this machine is sent back to this machine. */
export const isLoopback = ({ hostname, protocol }: URL): boolean =>
  protocol === "http:" && (hostname === "127.0.0.1" || hostname === "[::1]" || hostname === "localhost")

/** Reads what an authorization says of consent; asks nobody. */
export const consentSettingsOf = Effect.fnUntraced(function* (
  { base, id, oauth2 }: Authorization,
  allowHttp: boolean
): Effect.fn.Return<ConsentSettings, TokenError, Secrets> {
  const secrets = yield* Secrets
  const text = (template: string) =>
    Effect.mapError(secrets.text(template, base), (error) => misconfigured(id, error.message, ""))
  const url = Effect.fnUntraced(function* (name: string, template: string | undefined) {
    if (template === undefined) return undefined
    const value = yield* text(template)
    const parsed = URL.canParse(value) ? new URL(value) : undefined
    if (parsed === undefined || parsed.username !== "" || parsed.password !== "") {
      return yield* misconfigured(id, `${name} is not an address.`, "Write it in full, with https://.")
    }
    if (name === "redirect_uri" ? isLoopback(parsed) : isAcceptable(parsed, allowHttp)) return parsed
    if (parsed.protocol === "https:") return parsed
    return yield* misconfigured(
      id,
      `${name} is plain http (${parsed.host}).`,
      name === "redirect_uri"
        ? "Use https, or an address of this machine: http://127.0.0.1/callback."
        : "Use https, or set TRIBUTARY_OAUTH_ALLOW_HTTP=true inside a network that you trust."
    )
  })
  const params: Record<string, string> = {}
  for (const [name, template] of Object.entries(oauth2.authorization_params ?? {})) params[name] = yield* text(template)
  return {
    authorizationUrl: yield* url("authorization_url", oauth2.authorization_url),
    deviceAuthorizationUrl: yield* url("device_authorization_url", oauth2.device_authorization_url),
    redirectUri: (yield* url("redirect_uri", oauth2.redirect_uri)) ?? new URL(defaultRedirect),
    params
  }
})
