// oxlint-disable-next-line typescript/triple-slash-reference -- declares the types of a package that has none, also for those who import this
/// <reference path="./oidc-provider.d.ts" />
import { generateKeyPairSync, randomUUID } from "node:crypto"
import { createServer } from "node:http"

/** The npm package oidc-provider, a certified authorization server of other people's making, on 127.0.0.1. */
export interface OidcServer {
  readonly issuer: string
  readonly tokenUrl: string
  /** Clients `basic` and `post` (client credentials) and `web` (refresh tokens, which it rotates). */
  readonly secretOf: (client: "basic" | "post" | "web") => string
  /** A first refresh token of the client `web`, as a person's consent would give it. */
  readonly issueRefreshToken: () => Promise<string>
  readonly isValid: (token: string) => Promise<boolean>
  readonly stop: () => Promise<void>
}

/** Starts oidc-provider. It is loaded only then, for it is large. */
export const startOidcServer = async (): Promise<OidcServer> => {
  const { Provider } = await import("oidc-provider")
  const http = createServer()
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject)
    http.listen(0, "127.0.0.1", resolve)
  })
  const address = http.address()
  if (address === null || typeof address === "string") throw new Error("The server has no port.")
  const issuer = `http://127.0.0.1:${address.port}`
  const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" })
  const secretOf = (client: string) => `${client}-secret: with+odd/characters & =`
  const client = (id: string, settings: Record<string, unknown>) => ({
    client_id: id,
    client_secret: secretOf(id),
    redirect_uris: [],
    response_types: [],
    scope: "openid offline_access api:read",
    ...settings
  })
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...key, kid: "server", use: "sig", alg: "RS256" }] },
    cookies: { keys: [randomUUID()] },
    scopes: ["openid", "offline_access", "api:read"],
    clientAuthMethods: ["client_secret_basic", "client_secret_post"],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true }
    },
    rotateRefreshToken: true,
    ttl: { AccessToken: 60, ClientCredentials: 60, RefreshToken: 3600, IdToken: 60, Grant: 3600 },
    findAccount: (_context: unknown, accountId: string) => ({ accountId, claims: () => ({ sub: accountId }) }),
    clients: [
      client("basic", { grant_types: ["client_credentials"], token_endpoint_auth_method: "client_secret_basic" }),
      client("post", { grant_types: ["client_credentials"], token_endpoint_auth_method: "client_secret_post" }),
      client("web", {
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        redirect_uris: ["https://127.0.0.1/callback"],
        token_endpoint_auth_method: "client_secret_basic"
      })
    ]
  })
  const answer = provider.callback()
  http.on("request", (request, response) => answer(request, response))
  return {
    issuer,
    tokenUrl: `${issuer}/token`,
    secretOf,
    issueRefreshToken: async () => {
      const grant = new provider.Grant({ accountId: "person", clientId: "web" })
      grant.addOIDCScope("openid offline_access")
      const grantId = await grant.save()
      const token = new provider.RefreshToken({
        accountId: "person",
        client: await provider.Client.find("web"),
        grantId,
        gty: "authorization_code",
        scope: "openid offline_access"
      })
      return token.save()
    },
    isValid: async (token) =>
      (await provider.ClientCredentials.find(token)) !== undefined ||
      (await provider.AccessToken.find(token)) !== undefined,
    stop: async () => {
      const closed = new Promise((resolve) => http.close(resolve))
      http.closeAllConnections()
      await closed
    }
  }
}
