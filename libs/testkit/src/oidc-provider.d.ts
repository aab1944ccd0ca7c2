/** The part of oidc-provider that the testkit and the flights' API use; the package brings no types. */
declare module "oidc-provider" {
  import type { IncomingMessage, RequestListener, ServerResponse } from "node:http"

  interface Grant {
    addOIDCScope(scope: string): void
    addOIDCClaims(claims: ReadonlyArray<string>): void
    addResourceScope(resource: string, scope: string): void
    rejectOIDCScope(scope: string): void
    rejectResourceScope(resource: string, scope: string): void
    save(): Promise<string>
  }
  interface RefreshToken {
    save(): Promise<string>
  }
  interface AccessToken {
    readonly clientId: string
    readonly scope: string | undefined
    readonly aud: string | ReadonlyArray<string> | undefined
    readonly isValid: boolean
  }
  /** A person's visit to the login and consent pages. */
  interface Interaction {
    readonly uid: string
    readonly prompt: {
      readonly name: string
      readonly details: {
        readonly missingOIDCScope?: ReadonlyArray<string>
        readonly missingOIDCClaims?: ReadonlyArray<string>
        readonly missingResourceScopes?: Readonly<Record<string, ReadonlyArray<string>>>
      }
    }
    readonly params: { readonly client_id: string; readonly scope?: string }
    readonly session?: { readonly accountId: string }
    readonly grantId?: string
  }
  export class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>)
    callback(): RequestListener
    on(event: "client_credentials.saved", listener: () => void): this
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: Readonly<Record<string, unknown>>,
      options: { readonly mergeWithLastSubmission: boolean }
    ): Promise<void>
    readonly Grant: {
      new (properties: { readonly accountId: string; readonly clientId: string }): Grant
      find(id: string): Promise<Grant | undefined>
    }
    readonly RefreshToken: new (properties: Readonly<Record<string, unknown>>) => RefreshToken
    readonly Client: { find(id: string): Promise<unknown> }
    readonly AccessToken: { find(token: string): Promise<AccessToken | undefined> }
    readonly ClientCredentials: { find(token: string): Promise<AccessToken | undefined> }
  }
}
