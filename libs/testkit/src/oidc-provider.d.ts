/** The part of oidc-provider that the testkit uses; the package brings no types. */
declare module "oidc-provider" {
  import type { RequestListener } from "node:http"

  interface Grant {
    addOIDCScope(scope: string): void
    save(): Promise<string>
  }
  interface RefreshToken {
    save(): Promise<string>
  }
  interface AccessToken {
    readonly clientId: string
    readonly scope: string | undefined
  }
  export class Provider {
    constructor(issuer: string, configuration: Readonly<Record<string, unknown>>)
    callback(): RequestListener
    readonly Grant: new (properties: { readonly accountId: string; readonly clientId: string }) => Grant
    readonly RefreshToken: new (properties: Readonly<Record<string, unknown>>) => RefreshToken
    readonly Client: { find(id: string): Promise<unknown> }
    readonly AccessToken: { find(token: string): Promise<AccessToken | undefined> }
    readonly ClientCredentials: { find(token: string): Promise<AccessToken | undefined> }
  }
}
