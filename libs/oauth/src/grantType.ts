import type { OAuth2 } from "@tributary/domain"

/** Grant types by the names of the connector file. */
export const grantTypes = {
  client_credentials: "client_credentials",
  refresh_token: "refresh_token",
  jwt_bearer: "urn:ietf:params:oauth:grant-type:jwt-bearer",
  token_exchange: "urn:ietf:params:oauth:grant-type:token-exchange",
  authorization_code: "authorization_code",
  device_code: "urn:ietf:params:oauth:grant-type:device_code"
} as const

/** The `grant_type` parameter of an authorization's token requests. */
export const grantTypeOf = ({ custom, login, oauth2 }: Pick<OAuth2, "oauth2" | "custom" | "login">): string => {
  switch (oauth2) {
    case "custom":
      return custom?.grant_type ?? ""
    case "login":
      return login?.exchange?.grant_type ?? "login"
    default:
      return grantTypes[oauth2]
  }
}
