import { Schema } from "effect"
import { fallback, optional, required } from "./Setting.ts"
import { Address, PositiveDuration, Template, Text } from "./SettingType.ts"

const ParameterName = Text.annotate({ title: "parameter", expected: "the name of a parameter" })
const Parameters = Schema.Record(ParameterName, Template).annotate({ expected: "parameters by name" })

/** Grants that a person gives with `tributary consent`. */
export const consentGrants = ["authorization_code", "device_code"] as const

/** Whether a grant is one that a person gives. */
export const isConsentGrant = (grant: string): grant is (typeof consentGrants)[number] =>
  consentGrants.some((name) => name === grant)

/** Settings of the grants that a person gives (RFC 6749, section 4.1; RFC 8628). */
export const consentSettings = {
  authorization_url: Address.pipe(
    optional(
      "Authorization endpoint of the grant authorization_code, for servers that cannot be discovered.",
      "https://id.shop.example/oauth/authorize"
    )
  ),
  device_authorization_url: Address.pipe(
    optional(
      "Device authorization endpoint (RFC 8628), for servers that cannot be discovered.",
      "https://id.shop.example/oauth/device"
    )
  ),
  redirect_uri: Address.pipe(
    optional(
      "Where the server sends the browser after consent, exactly as it is registered there. Without a port, any free one of this machine is used (RFC 8252, section 7.3). Another host than this machine needs `tributary consent --paste`. Default: http://127.0.0.1/callback.",
      "http://127.0.0.1:8976/callback"
    )
  ),
  authorization_params: Parameters.pipe(
    optional("Parameters added to the request that the person's browser makes.", {
      access_type: "offline",
      prompt: "consent"
    })
  )
}

const Exchange = Schema.Struct({
  grant_type: Text.pipe(required("Value of `grant_type` in the token request.", "session_token")),
  parameter: Text.pipe(required("Parameter of the token request that takes the session token.", "session_token"))
}).annotate({ identifier: "SessionExchange" })

/** A login whose answer holds a session token. */
export const Login = Schema.Struct({
  url: Address.pipe(required("Address that the login is sent to, as JSON.", "https://api.shop.example/login")),
  body: Parameters.pipe(
    required("Fields of the JSON that is sent; those that are secret must refer to their value.", {
      user: "${env:SHOP_USER}",
      password: "${env:SHOP_PASSWORD}"
    })
  ),
  token: Text.pipe(
    fallback("access_token", "Where the answer holds the session token: names with dots between.", "session.token")
  ),
  lifetime: PositiveDuration.pipe(
    optional(
      "How long the session token is good for, where the answer has no `expires_in`. Default: until it is refused.",
      "30 minutes"
    )
  ),
  exchange: Exchange.pipe(
    optional("Exchanges the session token at the token endpoint. Default: it is the access token itself.")
  )
}).annotate({ identifier: "Login" })
