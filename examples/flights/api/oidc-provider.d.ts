/** The part of oidc-provider 9 (which comes without types) that this example uses. */
declare module "oidc-provider" {
  import type { IncomingMessage, ServerResponse } from "node:http"

  export interface ClientMetadata {
    readonly client_id: string
    readonly client_secret: string
    readonly grant_types: ReadonlyArray<string>
    readonly redirect_uris: ReadonlyArray<string>
    readonly response_types: ReadonlyArray<string>
    readonly token_endpoint_auth_method: "client_secret_basic" | "client_secret_post"
    readonly id_token_signed_response_alg: string
    readonly scope?: string
  }

  export interface Adapter {
    upsert(id: string, payload: Record<string, unknown>, expiresIn: number): Promise<void>
    find(id: string): Promise<Record<string, unknown> | undefined>
    findByUid(uid: string): Promise<Record<string, unknown> | undefined>
    findByUserCode(userCode: string): Promise<Record<string, unknown> | undefined>
    consume(id: string): Promise<void>
    destroy(id: string): Promise<void>
    revokeByGrantId(grantId: string): Promise<void>
  }

  export interface Configuration {
    readonly adapter?: (name: string) => Adapter
    readonly clients?: ReadonlyArray<ClientMetadata>
    readonly scopes?: ReadonlyArray<string>
    readonly responseTypes?: ReadonlyArray<string>
    readonly jwks?: { readonly keys: ReadonlyArray<Record<string, unknown>> }
    readonly cookies?: { readonly keys: ReadonlyArray<string> }
    readonly features?: Readonly<Record<string, { readonly enabled: boolean }>>
    readonly ttl?: Readonly<Record<string, number>>
  }

  export interface ClientCredentials {
    readonly scope?: string
    readonly clientId?: string
    readonly isValid: boolean
  }

  export class Provider {
    constructor(issuer: string, configuration?: Configuration)
    readonly ClientCredentials: { find(token: string): Promise<ClientCredentials | undefined> }
    callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>
    on(event: "client_credentials.saved", listener: () => void): this
    on(event: "server_error", listener: (context: unknown, error: Error) => void): this
  }
}
