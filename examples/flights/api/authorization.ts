import { type Adapter, Provider } from "oidc-provider"
import { generateKeyPairSync, randomBytes } from "node:crypto"
import { now } from "./time.ts"

export const scope = "flights.read"

/** Keeps what oidc-provider stores in memory, for as long as it is valid. */
const memoryAdapter = (): Adapter => {
  const stored = new Map<string, { readonly payload: Record<string, unknown>; readonly until: number }>()
  return {
    upsert: async (id, payload, expiresIn) => {
      for (const [old, { until }] of stored) {
        if (until > now()) break
        stored.delete(old)
      }
      stored.set(id, { payload, until: now() + expiresIn })
    },
    find: async (id) => {
      const found = stored.get(id)
      return found !== undefined && found.until > now() ? found.payload : undefined
    },
    findByUid: async () => undefined,
    findByUserCode: async () => undefined,
    consume: async () => undefined,
    destroy: async (id) => void stored.delete(id),
    revokeByGrantId: async () => undefined
  }
}

export interface AuthorizationOptions {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  /** Life of an access token, seconds. */
  readonly tokenLife: number
  readonly onIssued: () => void
}

/** The authorization server: one confidential client, the client credentials grant (RFC 6749, section 4.4), opaque tokens. */
export const authorizationServer = (options: AuthorizationOptions): Provider => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const provider = new Provider(options.issuer, {
    adapter: memoryAdapter,
    clients: [
      {
        client_id: options.clientId,
        client_secret: options.clientSecret,
        grant_types: ["client_credentials"],
        redirect_uris: [],
        response_types: [],
        token_endpoint_auth_method: "client_secret_basic",
        id_token_signed_response_alg: "ES256"
      }
    ],
    scopes: [scope],
    responseTypes: [],
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), use: "sig", alg: "ES256" }] },
    cookies: { keys: [randomBytes(32).toString("base64url")] },
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
    ttl: { ClientCredentials: options.tokenLife }
  })
  provider.on("client_credentials.saved", options.onIssued)
  return provider
}

export type Access =
  | { readonly granted: true }
  | { readonly granted: false; readonly status: 401 | 403; readonly challenge: string; readonly problem: string }

/** Judges the Authorization header of a request (RFC 6750). */
export const access = async (provider: Provider, header: string | undefined): Promise<Access> => {
  if (header === undefined) {
    return { granted: false, status: 401, challenge: 'Bearer realm="flights"', problem: "No access token was sent." }
  }
  const token = /^Bearer ([\w.~+/-]+=*)$/iu.exec(header)?.[1]
  const found = token === undefined ? undefined : await provider.ClientCredentials.find(token)
  if (found === undefined || !found.isValid) {
    const problem = "The access token is unknown or has expired."
    const challenge = `Bearer realm="flights", error="invalid_token", error_description="${problem}"`
    return { granted: false, status: 401, challenge, problem }
  }
  if (!(found.scope ?? "").split(" ").includes(scope)) {
    const challenge = `Bearer realm="flights", error="insufficient_scope", scope="${scope}"`
    return { granted: false, status: 403, challenge, problem: `The access token does not have the scope ${scope}.` }
  }
  return { granted: true }
}
