import type { OAuth2 } from "@tributary/domain"

/** Grant types by the names of the connector file. */
export const grantTypes = {
  client_credentials: "client_credentials",
  refresh_token: "refresh_token",
  jwt_bearer: "urn:ietf:params:oauth:grant-type:jwt-bearer",
  token_exchange: "urn:ietf:params:oauth:grant-type:token-exchange"
} as const

/** The `grant_type` parameter of an authorization's token requests. */
export const grantTypeOf = ({ custom, oauth2 }: Pick<OAuth2, "oauth2" | "custom">): string =>
  oauth2 === "custom" ? (custom?.grant_type ?? "") : grantTypes[oauth2]
