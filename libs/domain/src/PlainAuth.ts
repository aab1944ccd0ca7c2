import { Schema } from "effect"
import { OAuth2 } from "./OAuth2.ts"
import { fallback, optional, required } from "./Setting.ts"
import { HeaderName, HeaderValue, SecretReference, Template, Text } from "./SettingType.ts"

const ApiKey = Schema.Struct({
  api_key: SecretReference.pipe(required("Reference to a key that the API gave out.", "${env:SHOP_KEY}")),
  header: HeaderName.pipe(
    optional("Header that takes the key. Default: x-api-key, unless `query` is given.", "x-api-key")
  ),
  query: Text.pipe(optional("Query parameter that takes the key, where no header does.", "api_key")),
  prefix: Text.pipe(optional("What stands before the key in the header, with a space between.", "SSWS"))
}).annotate({ identifier: "ApiKey" })

const BearerToken = Schema.Struct({
  bearer: SecretReference.pipe(required("Reference to a token that does not change by itself.", "${file:./token}")),
  scheme: Text.pipe(fallback("Bearer", "Scheme of the Authorization header.", "Token"))
}).annotate({ identifier: "BearerToken" })

const BasicUser = Schema.Struct({
  basic: Template.pipe(required("User of HTTP Basic (RFC 7617), or a reference to it.", "${env:SHOP_USER}")),
  password: SecretReference.pipe(optional("Reference to the password. Default: an empty one.", "${env:SHOP_PASSWORD}"))
}).annotate({ identifier: "BasicUser" })

const StaticHeaders = Schema.Struct({
  headers: Schema.Record(HeaderName, HeaderValue)
    .annotate({ expected: "headers by name" })
    .pipe(
      required("Headers of an API's own; those that are secret must refer to their value.", {
        "x-account": "shop",
        "x-auth-token": "${env:SHOP_TOKEN}"
      })
    )
}).annotate({ identifier: "StaticHeaders" })

/** Credentials that no server issues anew: keys, tokens and passwords as they are. */
export const PlainAuth = Schema.Union([ApiKey, BearerToken, BasicUser, StaticHeaders]).annotate({
  identifier: "PlainAuth"
})
export type PlainAuth = typeof PlainAuth.Type

/** How requests of a connector are authorized. */
export const Auth = Schema.Union([OAuth2, ...PlainAuth.members]).annotate({ identifier: "Auth" })
export type Auth = typeof Auth.Type
