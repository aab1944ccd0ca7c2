import assert from "node:assert/strict"
import {
  type Authorization,
  ConsentError,
  type Consent,
  type Granted,
  makeConsent,
  makeServerCalls,
  type PendingConsent,
  type ServerCalls,
  Tokens
} from "@tributary/oauth"
import { Visitor } from "@tributary/testkit/visitor"
import { TokenStore } from "@tributary/vault"
import { Duration, Effect, Option, Redacted, Schema } from "effect"
import { live } from "../consentSupport.ts"
import { authorization } from "../support.ts"

/** A server to try, and who asks it. */
export interface Target {
  readonly name: string
  readonly issuer: string
  readonly clientId: string
  /** `undefined`: a public client. */
  readonly clientSecret: string | undefined
  readonly clientAuth: string | undefined
  readonly scopes: ReadonlyArray<string>
  readonly resource: string | undefined
  /** Of the client that may use client credentials; default: the same. */
  readonly service?: { readonly clientId: string; readonly clientSecret: string }
  /** What forms of the login page are filled in with; `undefined`: nobody signs in, so nothing that needs a person is run. */
  readonly fields: Readonly<Record<string, string>> | undefined
  readonly redirectUri: string | undefined
  /** A refresh token that may be used up. */
  readonly refreshToken: string | undefined
}

/** How a check ended. `lenient`: the server allows what the standard forbids; that is its affair, not this library's. */
export interface Outcome {
  readonly check: string
  readonly result: "ok" | "skipped" | "lenient" | "FAILED"
  readonly why: string
}

/** What went wrong that is no error of the library. */
class Failed extends Schema.TaggedError<Failed>()("Failed", { why: Schema.String }) {
  override get message(): string {
    return this.why
  }
}

class Lenient {
  readonly why: string
  constructor(why: string) {
    this.why = why
  }
}

type Metadata = Effect.Success<ServerCalls["metadata"]>

interface State {
  readonly metadata: Metadata
  token: Redacted.Redacted<string> | undefined
  refreshToken: Redacted.Redacted<string> | undefined
}

interface Check {
  readonly name: string
  /** Why the check cannot be run; `undefined`: it can. */
  readonly obstacle: (target: Target, state: State) => string | undefined
  readonly run: (target: Target, state: State) => Effect.Effect<Lenient | void, Error, Tokens | Needs>
}
type Needs = Effect.Services<ReturnType<typeof makeConsent>> | Effect.Services<ReturnType<typeof makeServerCalls>>

const clientOf = ({ clientAuth, clientId, clientSecret, issuer, scopes }: Target) => ({
  issuer,
  client_id: clientId,
  ...(clientSecret === undefined ? { client_auth: "none" } : { client_secret: "${env:CLIENT_SECRET}" }),
  ...(clientAuth === undefined ? {} : { client_auth: clientAuth }),
  scopes: [...scopes]
})

const personal = (target: Target, more: Readonly<Record<string, unknown>> = {}): Authorization =>
  authorization({
    oauth2: "authorization_code",
    ...clientOf(target),
    ...(target.resource === undefined ? {} : { resource: target.resource }),
    ...(target.redirectUri === undefined ? {} : { redirect_uri: target.redirectUri }),
    authorization_params: { prompt: "consent" },
    ...more
  })

const serviceOf = (target: Target, secret = "${env:SERVICE_SECRET}"): Authorization =>
  authorization(
    {
      oauth2: "client_credentials",
      ...clientOf(target),
      client_auth: target.clientAuth === "none" ? "basic" : (target.clientAuth ?? "basic"),
      client_id: target.service?.clientId ?? target.clientId,
      client_secret: secret,
      scopes: target.scopes.filter((scope) => scope !== "openid" && scope !== "offline_access"),
      ...(target.resource === undefined ? {} : { resource: target.resource })
    },
    "service"
  )

const needsService = ({ clientSecret, service }: Target, { metadata }: State) =>
  metadata.grant_types_supported?.includes("client_credentials") !== true
    ? "the metadata does not name the grant client_credentials"
    : clientSecret === undefined && service === undefined
      ? "no client secret is given"
      : undefined

const needsPerson = ({ fields }: Target, { metadata }: State) =>
  metadata.authorization_endpoint === undefined
    ? "the metadata names no authorization endpoint"
    : fields === undefined
      ? "nobody signs in: give --field name=value for the login page's form (or --no-login)"
      : undefined

const visited = (consent: Consent, { fields = {} }: Target) =>
  Effect.gen(function* () {
    const pending = yield* consent.begin(consent.redirectUri)
    const away = yield* Effect.tryPromise({
      try: () => new Visitor().visit(pending.url, { fields }),
      catch: (error) => new Failed({ why: error instanceof Error ? error.message : String(error) })
    })
    return { pending, away }
  })

const stored = (id: string) =>
  Effect.map(
    TokenStore.use((store) => store.load(id)),
    Option.getOrUndefined
  )

/** What a server refuses, if it keeps to the standard. */
const mustRefuse = <A, R>(effect: Effect.Effect<A, Error, R>, what: string, isMeant: (error: Error) => boolean) =>
  Effect.gen(function* () {
    const result = yield* Effect.result(effect)
    if (result._tag === "Success") return new Lenient(`the server takes ${what}`)
    assert.ok(isMeant(result.failure), result.failure.message)
    return undefined
  })

const refusedCode = (error: Error) => error instanceof ConsentError && error.reason === "refused"

const judge = (granted: Granted, target: Target) => {
  if (target.scopes.includes("openid")) assert.ok(granted.identity !== undefined, "the ID token is validated")
}

const checks: ReadonlyArray<Check> = [
  {
    name: "the metadata is that of the issuer",
    obstacle: () => undefined,
    run: ({ issuer }, { metadata }) => Effect.sync(() => assert.equal(metadata.issuer, issuer))
  },
  {
    name: "client credentials give a token, and a new one when it is rejected",
    obstacle: needsService,
    run: Effect.fnUntraced(function* (target, state) {
      const manager = yield* (yield* Tokens).manager(serviceOf(target))
      const first = yield* manager.get
      state.token = first.value
      yield* manager.rejected(first)
      const second = yield* manager.get
      state.token = second.value
      assert.equal(second.generation, 2)
    }, Effect.scoped)
  },
  {
    name: "a wrong client secret is refused",
    obstacle: needsService,
    run: Effect.fnUntraced(function* (target) {
      const wrong = { ...serviceOf(target, "${env:WRONG_SECRET}"), id: "wrong" }
      return yield* mustRefuse(
        Effect.flatMap((yield* Tokens).manager(wrong), ({ get }) => get),
        "a wrong client secret",
        (error) => "failureClass" in error && error.failureClass === "misconfigured"
      )
    }, Effect.scoped)
  },
  {
    name: "the code grant: PKCE with S256, state, nonce, iss, a validated ID token",
    obstacle: needsPerson,
    run: Effect.fnUntraced(function* (target, state) {
      const consent = yield* makeConsent(personal(target))
      const { away, pending } = yield* visited(consent, target)
      judge(yield* consent.finish(pending, away.searchParams), target)
      const tokens = yield* stored("shop")
      state.token ??= tokens?.accessToken
      state.refreshToken = tokens?.refreshToken
    })
  },
  {
    name: "a redirect with another state, or of another issuer, is refused before anything is sent",
    obstacle: needsPerson,
    run: Effect.fnUntraced(function* (target) {
      const consent = yield* makeConsent(personal(target))
      const { away, pending } = yield* visited(consent, target)
      for (const [name, reason] of [
        ["state", "wrong-state"],
        ["iss", "wrong-issuer"]
      ] as const) {
        const planted = new URLSearchParams(away.searchParams)
        planted.set(name, "https://planted.example")
        const error = yield* Effect.match(consent.finish(pending, planted), {
          onFailure: (failure) => failure,
          onSuccess: () => new Failed({ why: `a planted ${name} was taken` })
        })
        assert.ok(error instanceof ConsentError && error.reason === reason, error.message)
      }
    })
  },
  {
    name: "a code with another request's verifier is refused",
    obstacle: needsPerson,
    run: Effect.fnUntraced(function* (target) {
      const consent = yield* makeConsent(personal(target))
      const { away } = yield* visited(consent, target)
      const other: PendingConsent = yield* consent.begin(consent.redirectUri)
      const code = Redacted.make(away.searchParams.get("code") ?? "")
      return yield* mustRefuse(consent.finishWithCode(other, code), "a code without its verifier", refusedCode)
    })
  },
  {
    name: "a code is refused when it comes twice",
    obstacle: needsPerson,
    run: Effect.fnUntraced(function* (target) {
      const consent = yield* makeConsent({ ...personal(target), id: "twice" })
      const { away, pending } = yield* visited(consent, target)
      yield* consent.finish(pending, away.searchParams)
      return yield* mustRefuse(consent.finish(pending, away.searchParams), "a code twice", refusedCode)
    })
  },
  {
    name: "introspection tells that a token is active",
    obstacle: (target, { metadata, token }) =>
      metadata.introspection_endpoint === undefined
        ? "the metadata names no introspection endpoint"
        : target.clientSecret === undefined && target.service === undefined
          ? "a public client may not introspect"
          : token === undefined
            ? "no token was obtained"
            : undefined,
    run: Effect.fnUntraced(function* (target, { token = Redacted.make("") }) {
      const calls = yield* makeServerCalls(serviceOf(target))
      const found = yield* calls.introspect(token)
      assert.ok(found.isActive, "the token was just obtained")
    })
  },
  {
    name: "a refresh token brings a new access token",
    obstacle: ({ refreshToken }, state) =>
      state.refreshToken === undefined && refreshToken === undefined
        ? "there is no refresh token: the code grant brought none, and none is given (OAUTH_REFRESH_TOKEN)"
        : undefined,
    run: Effect.fnUntraced(function* (target, state) {
      const auth = personal(target)
      const spent = state.refreshToken ?? Redacted.make(target.refreshToken ?? "")
      yield* (yield* makeConsent(auth)).adopt(spent)
      const manager = yield* (yield* Tokens).manager(auth)
      state.token = (yield* manager.get).value
      const next = (yield* stored("shop"))?.refreshToken
      state.refreshToken = next
      if (next !== undefined && Redacted.value(next) === Redacted.value(spent)) return
      const again = { ...auth, id: "replayed" }
      return yield* mustRefuse(
        (yield* makeConsent(again)).adopt(spent),
        "a refresh token that it replaced",
        (error) => "failureClass" in error && error.failureClass === "needs-consent"
      )
    }, Effect.scoped)
  },
  {
    name: "revocation is taken, and introspection tells so",
    obstacle: (_target, { metadata, refreshToken }) =>
      metadata.revocation_endpoint === undefined
        ? "the metadata names no revocation endpoint"
        : refreshToken === undefined
          ? "there is no refresh token"
          : undefined,
    run: Effect.fnUntraced(function* (target, { metadata, refreshToken = Redacted.make("") }) {
      const calls = yield* makeServerCalls(personal(target))
      yield* calls.revoke(refreshToken, "refresh_token")
      if (metadata.introspection_endpoint === undefined || target.clientSecret === undefined) return
      const found = yield* calls.introspect(refreshToken, "refresh_token")
      if (found.isActive) return new Lenient("the server still calls the revoked token active")
    })
  },
  {
    name: "the device grant gives a code, and waits for the person",
    obstacle: (_target, { metadata }) =>
      metadata.device_authorization_endpoint === undefined
        ? "the metadata names no device authorization endpoint"
        : undefined,
    run: Effect.fnUntraced(function* (target) {
      const auth = personal(target, { oauth2: "device_code" })
      const { authorization_params: _params, redirect_uri: _uri, ...oauth2 } = auth.oauth2
      const consent = yield* makeConsent({ ...auth, oauth2 })
      const prompt = yield* consent.beginDevice
      assert.ok(prompt.userCode !== "" && URL.canParse(prompt.verificationUri))
      const waited = yield* Effect.timeoutOption(
        consent.awaitDevice(prompt),
        Duration.sum(prompt.interval, Duration.seconds(2))
      )
      assert.ok(Option.isNone(waited), "nobody has entered the code")
    })
  },
  {
    name: "PKCE with plain alone is refused",
    obstacle: (_target, { metadata }) =>
      metadata.code_challenge_methods_supported === undefined
        ? "the metadata does not say which methods of PKCE there are"
        : undefined,
    run: (_target, { metadata }) =>
      Effect.sync(() => assert.ok(metadata.code_challenge_methods_supported?.includes("S256")))
  }
]

/** Runs what the server's metadata supports. Fails only when there is no metadata. */
export const runSuite = Effect.fnUntraced(
  function* (target: Target) {
    const metadata = yield* Effect.flatMap(makeServerCalls(personal(target)), (calls) => calls.metadata)
    const state: State = { metadata, token: undefined, refreshToken: undefined }
    const outcomes: Array<Outcome> = []
    for (const { name, obstacle, run } of checks) {
      const why = obstacle(target, state)
      if (why !== undefined) {
        outcomes.push({ check: name, result: "skipped", why })
        continue
      }
      const result = yield* run(target, state).pipe(
        Effect.timeout("60 seconds"),
        Effect.catchDefect((defect) =>
          Effect.fail(new Failed({ why: defect instanceof Error ? defect.message : String(defect) }))
        ),
        Effect.result
      )
      if (result._tag === "Failure") outcomes.push({ check: name, result: "FAILED", why: result.failure.message })
      else if (result.success instanceof Lenient) {
        outcomes.push({ check: name, result: "lenient", why: result.success.why })
      } else outcomes.push({ check: name, result: "ok", why: "" })
    }
    return outcomes
  },
  (effect, target) =>
    Effect.provide(
      effect,
      live({
        CLIENT_SECRET: target.clientSecret ?? "",
        SERVICE_SECRET: target.service?.clientSecret ?? target.clientSecret ?? "",
        WRONG_SECRET: "wrong-secret-of-the-suite"
      })
    )
)
