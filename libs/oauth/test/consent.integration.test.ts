import { assert, describe, it } from "@effect/vitest"
import {
  ConsentError,
  makeConsent,
  makeServerCalls,
  revokeDeleted,
  revokeGrant,
  Tokens,
  TokenTransport
} from "@tributary/oauth"
import type { ConsentServer, ConsentServerOptions } from "@tributary/testkit/consent"
import { Visitor } from "@tributary/testkit/visitor"
import { testHttp } from "@tributary/secrets/testing"
import type { Secrets } from "@tributary/secrets"
import { type Budgets, Leases, TokenStore, VaultError } from "@tributary/vault"
import { Duration, Effect, Exit, Fiber, Option, Redacted, Scope } from "effect"
import { asked, authOf, consented, consentServer, environmentOf, live } from "./consentSupport.ts"
import { authorization } from "./support.ts"

type Needs = Tokens | Secrets | TokenStore | Leases | Budgets | TokenTransport | Scope.Scope

/** A test against a server of its own. */
const against = <E>(
  name: string,
  work: (server: ConsentServer) => Effect.Effect<void, E, Needs>,
  options?: ConsentServerOptions
) =>
  it.live(name, () =>
    Effect.gen(function* () {
      const server = yield* consentServer(options)
      yield* Effect.provide(work(server), live(environmentOf(server)), { local: true })
    })
  )

const stored = (id = "shop") =>
  Effect.map(
    TokenStore.use((store) => store.load(id)),
    Option.getOrUndefined
  )

const reasonOf = (error: Error) => (error instanceof ConsentError ? error.reason : `${error.name}: ${error.message}`)

/** The server is on this machine; it may be asked more often than it says. */
const fast = Duration.millis(200)

const orders = (server: ConsentServer, token: Redacted.Redacted<string>, path = "/orders") =>
  // oxlint-disable-next-line eslint/no-restricted-globals -- as anybody would call an API
  Effect.promise(() => fetch(`${server.api}${path}`, { headers: { authorization: `Bearer ${Redacted.value(token)}` } }))

describe("consent by the code grant", () => {
  for (const client of ["app", "web"] as const) {
    against(`is exchanged, stored and used (${client})`, (server) =>
      Effect.gen(function* () {
        const auth = authOf(server, client)
        const granted = yield* consented(auth)
        assert.deepStrictEqual([...granted.granted].toSorted(), ["api:read", "offline_access", "openid"])
        assert.isTrue(granted.hasRefreshToken)
        assert.strictEqual(granted.identity?.subject, "person")
        assert.strictEqual(server.stats.pushed, 1, "pushed where the server has it")
        const before = server.stats.tokenRequests
        const manager = yield* (yield* Tokens).manager(auth)
        const token = yield* manager.get
        assert.strictEqual(server.stats.tokenRequests, before, "what was stored is used")
        assert.strictEqual((yield* orders(server, token.value)).status, 200)
        // And it is refreshed and rotated like any other.
        const first = (yield* stored())?.refreshToken
        yield* manager.rejected(token)
        const second = yield* manager.get
        assert.notStrictEqual(Redacted.value(second.value), Redacted.value(token.value))
        assert.strictEqual((yield* orders(server, second.value)).status, 200)
        const rotated = (yield* stored())?.refreshToken
        assert.notStrictEqual(Redacted.value(rotated ?? assert.fail()), Redacted.value(first ?? assert.fail()))
      })
    )
  }

  against("without a consent, a connector says which command gives one", (server) =>
    Effect.gen(function* () {
      const manager = yield* (yield* Tokens).manager(authOf(server))
      const error = yield* Effect.flip(manager.get)
      assert.strictEqual(error.failureClass, "needs-consent")
      assert.match(error.message, /nobody has consented yet\. Run: tributary consent shop$/)
      assert.strictEqual(server.stats.tokenRequests, 0)
    })
  )

  against("for other settings than those of now is not used, and nothing is sent", (server) =>
    Effect.gen(function* () {
      yield* consented(authOf(server))
      const before = server.stats.tokenRequests
      for (const settings of [{ scopes: ["openid", "api:write"] }, { client_id: "other" }]) {
        const error = yield* Effect.flip(
          Effect.flatMap((yield* Tokens).manager(authOf(server, "web", settings)), ({ get }) => get)
        )
        assert.strictEqual(error.failureClass, "needs-consent")
        assert.match(error.message, /given for another server, client or other scopes.*tributary consent shop/)
      }
      assert.strictEqual(server.stats.tokenRequests, before)
    })
  )

  against("tells the scopes that were not granted", (server) =>
    Effect.gen(function* () {
      const auth = authOf(server, "web", { scopes: ["openid", "offline_access", "api:read", "api:write"] })
      const granted = yield* consented(auth, { allow: ["openid", "offline_access", "api:read"] })
      assert.deepStrictEqual(
        granted.asked.filter((scope) => !granted.granted.includes(scope)),
        ["api:write"]
      )
      const token = yield* Effect.flatMap((yield* Tokens).manager(auth), ({ get }) => get)
      const answer = yield* orders(server, token.value, "/orders/all")
      assert.strictEqual(answer.status, 403)
      assert.include(answer.headers.get("www-authenticate") ?? "", "insufficient_scope")
      assert.strictEqual((yield* orders(server, token.value)).status, 200)
    })
  )

  against("that was denied is told, and nothing is stored", (server) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(consented(authOf(server), { allow: [] }))
      assert.strictEqual(reasonOf(error), "denied")
      assert.match(error.message, /access was denied \(access_denied "The person said no\."\)/)
      assert.isUndefined(yield* stored())
    })
  )

  against("is refused with another state, with another issuer, and without one", (server) =>
    Effect.gen(function* () {
      const consent = yield* makeConsent(authOf(server))
      const { away, pending } = yield* asked(consent)
      const changed = (change: (parameters: URLSearchParams) => void) => {
        const parameters = new URLSearchParams(away.searchParams)
        change(parameters)
        return Effect.map(Effect.flip(consent.finish(pending, parameters)), reasonOf)
      }
      const before = server.stats.tokenRequests
      assert.strictEqual(yield* changed((it) => it.set("state", "planted")), "wrong-state")
      assert.strictEqual(yield* changed((it) => it.delete("state")), "wrong-state")
      assert.strictEqual(yield* changed((it) => it.append("state", pending.state)), "input")
      assert.strictEqual(yield* changed((it) => it.set("iss", "https://evil.example")), "wrong-issuer")
      assert.strictEqual(yield* changed((it) => it.delete("iss")), "wrong-issuer")
      // An error is believed only of the right answer, too.
      const error = (it: URLSearchParams) => {
        it.delete("code")
        it.set("error", "access_denied")
      }
      assert.strictEqual(yield* changed(error), "denied")
      assert.strictEqual(
        yield* changed((it) => {
          error(it)
          it.set("state", "planted")
        }),
        "wrong-state"
      )
      assert.strictEqual(server.stats.tokenRequests, before, "no code was sent")
      assert.isUndefined(yield* stored())
      yield* consent.finish(pending, away.searchParams)
      assert.isDefined(yield* stored())
    })
  )

  against("is refused when a code comes twice, which ends what the first use brought", (server) =>
    Effect.gen(function* () {
      const auth = authOf(server)
      const consent = yield* makeConsent(auth)
      const { away, pending } = yield* asked(consent)
      yield* consent.finish(pending, away.searchParams)
      const token = (yield* stored())?.accessToken ?? assert.fail()
      const error = yield* Effect.flip(consent.finish(pending, away.searchParams))
      assert.strictEqual(reasonOf(error), "refused")
      assert.notInclude(error.message, away.searchParams.get("code") ?? "")
      assert.strictEqual((yield* orders(server, token)).status, 401)
    })
  )

  against("is bound to its request by PKCE, and to its client", (server) =>
    Effect.gen(function* () {
      const consent = yield* makeConsent(authOf(server))
      const first = yield* asked(consent)
      const second = yield* asked(consent)
      const code = Redacted.make(first.away.searchParams.get("code") ?? "")
      assert.strictEqual(reasonOf(yield* Effect.flip(consent.finishWithCode(second.pending, code))), "refused")
      const other = yield* makeConsent(authOf(server, "other", { client_secret: "${env:OTHER_SECRET}" }))
      const third = yield* asked(consent)
      const stolen = Redacted.make(third.away.searchParams.get("code") ?? "")
      assert.strictEqual(reasonOf(yield* Effect.flip(other.finishWithCode(third.pending, stolen))), "refused")
      assert.isUndefined(yield* stored())
    })
  )

  against("takes a code that was copied out of the redirect", (server) =>
    Effect.gen(function* () {
      const consent = yield* makeConsent(authOf(server))
      const { away, pending } = yield* asked(consent)
      yield* consent.finishWithCode(pending, Redacted.make(away.searchParams.get("code") ?? ""))
      assert.isDefined(yield* stored())
    })
  )

  against("is not begun at a server that offers only plain PKCE", (server) =>
    Effect.gen(function* () {
      server.control.metadata((document) => ({ ...document, code_challenge_methods_supported: ["plain"] }))
      const error = yield* Effect.flip(Effect.flatMap(makeConsent(authOf(server)), (consent) => asked(consent)))
      assert.strictEqual(reasonOf(error), "unsupported")
      assert.match(error.message, /the server offers plain for PKCE, and S256 is needed/)
      assert.strictEqual(server.stats.pushed, 0)
      // One method as a text is seen, too.
      server.control.metadata((document) => ({ ...document, code_challenge_methods_supported: "plain" }))
      const text = yield* Effect.flip(Effect.flatMap(makeConsent(authOf(server)), (consent) => asked(consent)))
      assert.strictEqual(reasonOf(text), "unsupported")
      server.control.metadata((document) => ({ ...document, code_challenge_methods_supported: "S256" }))
      yield* consented(authOf(server))
    })
  )

  against(
    "names the issuer that a server has in place of the one that was asked, and whom it does not know",
    (server) =>
      Effect.gen(function* () {
        const wrong = yield* Effect.flip(consented(authOf(server, "web", { client_secret: "${env:OTHER_SECRET}" })))
        assert.match(wrong.message, /401 invalid_client.*Check client_id, client_secret/u)
        server.control.metadata((document) => ({ ...document, issuer: `${server.issuer}/other` }))
        const error = yield* Effect.flip(consented(authOf(server)))
        assert.include(error.message, `names another issuer: ${server.issuer}/other. Write \`issuer\` exactly`)
      })
  )

  against("asks with S256 and nothing in clear, pushed or not", (server) =>
    Effect.gen(function* () {
      server.control.metadata(({ pushed_authorization_request_endpoint: _pushed, ...document }) => document)
      const consent = yield* makeConsent(authOf(server))
      const { away, pending } = yield* asked(consent)
      const { searchParams } = new URL(pending.url)
      assert.strictEqual(searchParams.get("code_challenge_method"), "S256")
      assert.strictEqual(searchParams.get("resource"), server.api)
      assert.notInclude(pending.url, Redacted.value(pending.verifier))
      assert.strictEqual(server.stats.pushed, 0)
      yield* consent.finish(pending, away.searchParams)
    })
  )

  against("for a resource that the server does not know is refused", (server) =>
    Effect.gen(function* () {
      const auth = authOf(server, "web", { resource: "https://unknown.example/" })
      const error = yield* Effect.flip(consented(auth))
      assert.match(error.message, /invalid_target/)
    })
  )

  against("for another API gives tokens that this one refuses", (server) =>
    Effect.gen(function* () {
      const auth = authOf(server, "web", { resource: "https://elsewhere.example/" })
      yield* consented(auth)
      const token = yield* Effect.flatMap((yield* Tokens).manager(auth), ({ get }) => get)
      assert.strictEqual((yield* orders(server, token.value)).status, 401)
    })
  )

  against("takes an existing refresh token, and keeps what is stored when it is refused", (server) =>
    Effect.gen(function* () {
      const auth = authOf(server)
      yield* consented(auth)
      const refreshToken = (yield* stored())?.refreshToken ?? assert.fail()
      yield* TokenStore.use((store) => store.remove("shop"))
      const consent = yield* makeConsent(auth)
      yield* consent.adopt(refreshToken)
      const token = yield* Effect.flatMap((yield* Tokens).manager(auth), ({ get }) => get)
      assert.strictEqual((yield* orders(server, token.value)).status, 200)
      const before = yield* stored()
      assert.notStrictEqual(Redacted.value(before?.refreshToken ?? assert.fail()), Redacted.value(refreshToken))
      const error = yield* Effect.flip(consent.adopt(Redacted.make("not-a-token-of-this-server")))
      assert.strictEqual(reasonOf(error), "refused")
      assert.match(error.message, /what was stored before is as it was\. Run: tributary consent shop/)
      assert.deepStrictEqual(yield* stored(), before)
      assert.strictEqual((yield* orders(server, token.value)).status, 200)
      // The token that was replaced is of no use to anybody, and its use ends the rest.
      assert.strictEqual(reasonOf(yield* Effect.flip(consent.adopt(refreshToken))), "refused")
      assert.strictEqual((yield* orders(server, token.value)).status, 401)
    })
  )

  /** A refresh token that nothing here knows, and what knows that it must not be sent twice. */
  const given = (server: ConsentServer, lifecycle: Record<string, unknown>) =>
    Effect.gen(function* () {
      const auth = authOf(server, "web", { lifecycle })
      yield* consented(auth)
      const refreshToken = (yield* stored())?.refreshToken ?? assert.fail()
      yield* TokenStore.use((store) => store.remove("shop"))
      return { auth, refreshToken, consent: yield* makeConsent(auth) }
    })
  const strict = { rotation: "always", grace: "none", reuse: "revokes_family" }

  against("sends a refresh token whose answer was lost no second time, where that would end the grant", (server) =>
    Effect.gen(function* () {
      const { consent, refreshToken } = yield* given(server, strict)
      server.control.next("drop")
      const before = server.stats.tokenRequests
      for (let time = 0; time < 2; time++) {
        const error = yield* Effect.flip(consent.adopt(refreshToken))
        assert.strictEqual(reasonOf(error), "refused")
        assert.match(error.message, /was sent before, and the answer was lost.*tributary consent shop/)
      }
      assert.strictEqual(server.stats.tokenRequests, before + 1)
      // Another one is not held up by that, nor makes it forgotten.
      const error = yield* Effect.flip(consent.adopt(Redacted.make("not-a-token-of-this-server")))
      assert.match(error.message, /the server refuses the refresh token/)
      assert.match((yield* Effect.flip(consent.adopt(refreshToken))).message, /was sent before/)
    })
  )

  against("sends a refresh token whose answer was lost again within its grace", (server) =>
    Effect.gen(function* () {
      server.control.graceMs(60_000)
      const { auth, consent, refreshToken } = yield* given(server, { ...strict, grace: "1 minute" })
      server.control.next("drop")
      assert.isTrue((yield* consent.adopt(refreshToken)).hasRefreshToken)
      const token = yield* Effect.flatMap((yield* Tokens).manager(auth), ({ get }) => get)
      assert.strictEqual((yield* orders(server, token.value)).status, 200)
    })
  )

  against("sends no refresh token before the intent is durable, and none twice after a crash", (server) =>
    Effect.gen(function* () {
      const { auth, refreshToken } = yield* given(server, strict)
      const store = yield* TokenStore
      const before = server.stats.tokenRequests
      const full = new VaultError({ authorization: "shop", problem: "no space.", failureClass: "misconfigured" })
      const broken = (parts: Partial<TokenStore["Service"]>) =>
        Effect.flatMap(makeConsent(auth), ({ adopt }) => adopt(refreshToken)).pipe(
          Effect.provideService(TokenStore, TokenStore.of({ ...store, ...parts })),
          Effect.exit
        )
      assert.isTrue(Exit.isFailure(yield* broken({ note: () => full })))
      assert.strictEqual(server.stats.tokenRequests, before)
      // The process ends between the answer and the store.
      assert.isTrue(Exit.isFailure(yield* broken({ save: () => Effect.die("crashed") })))
      assert.strictEqual(server.stats.tokenRequests, before + 1)
      const error = yield* Effect.flip(Effect.flatMap(makeConsent(auth), ({ adopt }) => adopt(refreshToken)))
      assert.match(error.message, /was sent before/)
      assert.strictEqual(server.stats.tokenRequests, before + 1)
    })
  )

  against("takes the place of an earlier one, also where it has no refresh token, and says so", (server) =>
    Effect.gen(function* () {
      const auth = authOf(server)
      assert.isFalse((yield* consented(auth)).isRefreshTokenLost)
      server.control.shape(({ refresh_token: _token, ...body }) => body)
      const granted = yield* consented(auth)
      assert.deepInclude(granted, { hasRefreshToken: false, isRefreshTokenLost: true })
      assert.isUndefined((yield* stored())?.refreshToken)
      const token = yield* Effect.flatMap((yield* Tokens).manager(auth), ({ get }) => get)
      assert.strictEqual((yield* orders(server, token.value)).status, 200)
      assert.isFalse((yield* consented(auth)).isRefreshTokenLost)
    })
  )

  against("is judged by the issuer's metadata where a token endpoint is configured, too", (server) =>
    Effect.gen(function* () {
      const auth = authOf(server, "web", { token_url: `${server.issuer}/token?its=own` })
      const granted = yield* consented(auth)
      assert.strictEqual(granted.identity?.subject, "person")
      assert.strictEqual(server.stats.pushed, 0)
      const consent = yield* makeConsent(auth)
      const { away, pending } = yield* asked(consent)
      const mixed = new URLSearchParams(away.searchParams)
      mixed.set("iss", new URL("/elsewhere", server.issuer).href)
      assert.strictEqual(reasonOf(yield* Effect.flip(consent.finish(pending, mixed))), "wrong-issuer")
      server.control.idToken((claims) => ({ ...claims, aud: "other" }))
      assert.strictEqual(reasonOf(yield* Effect.flip(consent.finish(pending, away.searchParams))), "id-token")
    })
  )

  against("goes without that where the issuer's metadata is that of another one", (server) =>
    Effect.gen(function* () {
      server.control.metadata((document) => ({ ...document, issuer: "https://{tenant}.example/" }))
      const auth = authOf(server, "web", {
        token_url: `${server.issuer}/token`,
        authorization_url: `${server.issuer}/auth`
      })
      const granted = yield* consented(auth)
      assert.isUndefined(granted.identity)
      assert.isTrue(granted.hasRefreshToken)
    })
  )

  it.live("names the client as the provider wants it in the address, too", () =>
    Effect.gen(function* () {
      const consent = yield* makeConsent(
        authorization({
          oauth2: "authorization_code",
          provider: "tiktok",
          client_id: "shop-client",
          scopes: ["user.info.basic"],
          authorization_url: "https://id.example/auth"
        })
      )
      const { searchParams } = new URL((yield* consent.begin(consent.redirectUri)).url)
      assert.strictEqual(searchParams.get("client_key"), "shop-client")
      assert.isNull(searchParams.get("client_id"))
    }).pipe(Effect.provide(live({ CLIENT_SECRET: "-" }), { local: true }))
  )

  against("that was withdrawn is noticed at the next refresh", (server) =>
    Effect.gen(function* () {
      const auth = authOf(server)
      yield* consented(auth)
      const manager = yield* (yield* Tokens).manager(auth)
      const token = yield* manager.get
      yield* Effect.promise(() => server.control.revokeConsents())
      assert.strictEqual((yield* orders(server, token.value)).status, 401)
      const error = yield* Effect.flip(manager.rejected(token))
      assert.strictEqual(error.failureClass, "needs-consent")
      assert.match(error.message, /Run: tributary consent shop/)
    })
  )
})

describe("the ID token", () => {
  /** A consent whose ID token the server changed, and how it is refused. */
  const refused = (name: string, change: (server: ConsentServer) => void, says: RegExp) =>
    against(`is refused: ${name}`, (server) =>
      Effect.gen(function* () {
        change(server)
        const error = yield* Effect.flip(consented(authOf(server)))
        assert.strictEqual(reasonOf(error), "id-token", error.message)
        assert.match(error.message, says)
        assert.isUndefined(yield* stored())
      })
    )

  refused("another nonce", ({ control }) => control.idToken((claims) => ({ ...claims, nonce: "planted" })), /nonce/)
  refused("no nonce", ({ control }) => control.idToken(({ nonce: _nonce, ...claims }) => claims), /missing|nonce/)
  refused("another issuer", ({ control }) => control.idToken((it) => ({ ...it, iss: "https://evil.example" })), /iss/)
  refused("another audience", ({ control }) => control.idToken((it) => ({ ...it, aud: "other" })), /aud/)
  refused(
    "two audiences and another azp",
    ({ control }) => control.idToken((it) => ({ ...it, aud: ["web", "other"], azp: "other" })),
    /azp/
  )
  refused("expired", ({ control }) => control.clockSkew(-1000), /expired/)
  refused(
    "from the future",
    ({ control }) => control.idToken((it) => ({ ...it, nbf: 4e9 })),
    /expired, or begins later/
  )
  refused("no algorithm", ({ control }) => control.idToken((it) => it, { alg: "none" }), /not (valid|supported)/)
  refused(
    "signed by a key that the server does not have",
    ({ control }) => control.idToken((it) => it, { kid: "unknown" }),
    /no key of the server fits it/
  )
  refused(
    "a damaged signature",
    ({ control }) =>
      control.shape((body) => {
        const [head, claims, signature = ""] = String(body["id_token"]).split(".")
        const other = signature.startsWith("A") ? "B" : "A"
        return { ...body, id_token: `${head}.${claims}.${other}${signature.slice(1)}` }
      }),
    /signature/
  )
  refused("none at all", ({ control }) => control.shape(({ id_token: _token, ...body }) => body), /sent no ID token/)

  against("may be half a minute off", (server) =>
    Effect.gen(function* () {
      server.control.clockSkew(30)
      yield* consented(authOf(server))
      server.control.clockSkew(-330)
      yield* consented(authOf(server))
    })
  )

  against("is checked with new keys when the server has rotated them", (server) =>
    Effect.gen(function* () {
      const consent = yield* makeConsent(authOf(server))
      const once = Effect.gen(function* () {
        const { away, pending } = yield* asked(consent)
        yield* consent.finish(pending, away.searchParams)
      })
      yield* once
      yield* once
      assert.strictEqual(server.stats.keyReads, 1, "keys are kept")
      yield* Effect.promise(() => server.control.rotateKeys())
      yield* once
      assert.strictEqual(server.stats.keyReads, 2)
    })
  )
})

describe("consent by the device grant", () => {
  const auth = (server: ConsentServer, settings: Record<string, unknown> = {}) =>
    authOf(server, "app", { oauth2: "device_code", ...settings })

  against("waits until the code was entered elsewhere", (server) =>
    Effect.gen(function* () {
      const consent = yield* makeConsent(auth(server))
      const prompt = yield* consent.beginDevice
      const page = yield* Effect.promise(() => new Visitor().enter(prompt.verificationUri, prompt.userCode))
      assert.include(page, "The device is connected")
      const granted = yield* consent.awaitDevice({ ...prompt, interval: fast })
      assert.isTrue(granted.hasRefreshToken)
      assert.strictEqual(granted.identity?.subject, "person")
      const token = yield* Effect.flatMap((yield* Tokens).manager(auth(server)), ({ get }) => get)
      assert.strictEqual((yield* orders(server, token.value)).status, 200)
    })
  )

  against("sends the configured parameters of authorization, too", (server) =>
    Effect.gen(function* () {
      const transport = yield* TokenTransport
      const bodies: Array<string> = []
      const seen = TokenTransport.of({
        ...transport,
        send: (request) => {
          if (new URL(request.url).pathname.includes("device")) bodies.push(Redacted.value(request.contents).body ?? "")
          return transport.send(request)
        }
      })
      const consent = yield* Effect.provideService(makeConsent(authOf(server, "app")), TokenTransport, seen)
      yield* consent.beginDevice
      assert.deepStrictEqual(
        bodies.map((body) => new URLSearchParams(body).get("prompt")),
        ["consent"]
      )
    })
  )

  against("that was denied is told", (server) =>
    Effect.gen(function* () {
      const consent = yield* makeConsent(auth(server))
      const prompt = yield* consent.beginDevice
      yield* Effect.promise(() => new Visitor().enter(prompt.verificationUri, prompt.userCode, { allow: [] }))
      const error = yield* Effect.flip(consent.awaitDevice({ ...prompt, interval: fast }))
      assert.strictEqual(reasonOf(error), "denied")
    })
  )

  against(
    "ends when nobody enters the code in time",
    (server) =>
      Effect.gen(function* () {
        const consent = yield* makeConsent(auth(server))
        const prompt = yield* consent.beginDevice
        const error = yield* Effect.flip(consent.awaitDevice({ ...prompt, interval: fast }))
        assert.strictEqual(reasonOf(error), "expired")
      }),
    { deviceCodeLife: 1 }
  )
})

describe("a device endpoint that answers oddly", () => {
  const odd = (name: string, status: number, body: unknown, says: RegExp) =>
    it.live(name, () =>
      Effect.gen(function* () {
        const server = yield* testHttp(() => ({ status, body }))
        const auth = authorization({
          oauth2: "device_code",
          client_id: "app",
          client_auth: "none",
          token_url: `${server.url}/token`,
          device_authorization_url: `${server.url}/device`
        })
        const error = yield* Effect.flip(Effect.flatMap(makeConsent(auth), ({ beginDevice }) => beginDevice))
        assert.match(error.message, says)
      }).pipe(Effect.provide(live()), Effect.scoped)
    )
  const codes = { device_code: "d", user_code: "u", expires_in: 60 }
  odd(
    "with an address that no browser opens",
    200,
    { ...codes, verification_uri: "javascript:alert(1)" },
    /no address of a page/
  )
  odd("with a status that has no body, and a body", 205, codes, /answered 205 with something else than RFC 8628/)
  odd("with a status that there is not", 600, codes, /answered 600/)
})

describe("beside consent", () => {
  against("revocation ends a consent's tokens, and introspection tells", (server) =>
    Effect.gen(function* () {
      const auth = authOf(server)
      yield* consented(auth)
      const { accessToken, refreshToken } = (yield* stored()) ?? assert.fail()
      const calls = yield* makeServerCalls(auth)
      const before = yield* calls.introspect(accessToken)
      assert.isTrue(before.isActive)
      assert.strictEqual(before.clientId, "web")
      assert.include(before.scopes, "api:read")
      assert.deepStrictEqual(before.audience, [server.api])
      yield* calls.revoke(refreshToken ?? assert.fail(), "refresh_token")
      assert.isFalse((yield* calls.introspect(accessToken)).isActive)
      assert.strictEqual((yield* orders(server, accessToken)).status, 401)
    })
  )

  against("a deleted connector's tokens end, unless another connector uses them", (server) =>
    Effect.gen(function* () {
      const { oauth2 } = authOf(server)
      const shared = { ...oauth2, authorization: "login" }
      yield* consented({ id: "login", oauth2: shared, base: "/" })
      const token = (yield* stored("login"))?.accessToken ?? assert.fail()
      const one = { connector: "one", auth: shared }
      const two = { connector: "two", auth: shared }
      assert.match(
        (yield* revokeDeleted(one, "/", [two])) ?? "",
        /Its tokens stay: two uses the authorization login too/
      )
      assert.strictEqual((yield* orders(server, token)).status, 200)
      server.control.outage(true)
      assert.match((yield* revokeDeleted(two, "/", [])) ?? "", /neither revoked nor forgotten.*tributary revoke login/)
      assert.isDefined(yield* stored("login"))
      server.control.outage(false)
      assert.match((yield* revokeDeleted(two, "/", [])) ?? "", /were revoked at the server/)
      assert.strictEqual((yield* orders(server, token)).status, 401)
      assert.isUndefined(yield* stored("login"))
      assert.match((yield* revokeDeleted(two, "/", [])) ?? "", /No tokens of it are stored/)
    })
  )
})

describe("revocation", () => {
  against("keeps the tokens where the client is at fault", (server) =>
    Effect.gen(function* () {
      yield* consented(authOf(server))
      for (const client_secret of ["${env:MISSING}", "${env:OTHER_SECRET}"]) {
        const kept = yield* revokeGrant(authOf(server, "web", { client_secret }))
        assert.strictEqual(kept._tag, "Kept", client_secret)
        assert.isDefined(yield* stored())
      }
      assert.strictEqual((yield* revokeGrant(authOf(server)))._tag, "Revoked")
      assert.isUndefined(yield* stored())
    })
  )

  against("forgets the tokens where the server has none", (server) =>
    Effect.gen(function* () {
      yield* consented(authOf(server))
      server.control.metadata(({ revocation_endpoint: _revocation, ...document }) => document)
      assert.strictEqual((yield* revokeGrant(authOf(server)))._tag, "Forgotten")
      assert.isUndefined(yield* stored())
    })
  )

  against("ends the tokens, too, that were stored meanwhile", (server) =>
    Effect.gen(function* () {
      const auth = authOf(server)
      yield* consented(auth)
      const first = (yield* stored())?.accessToken ?? assert.fail()
      const store = yield* TokenStore
      let isFirst = true
      // Another process stores others as soon as these were read.
      const raced = TokenStore.of({
        ...store,
        read: (id) =>
          Effect.gen(function* () {
            const found = yield* store.read(id)
            if (isFirst) {
              isFirst = false
              const { generation: _old, ...tokens } = yield* elsewhere
              yield* Effect.orDie(store.save(id, found.tokens?.generation ?? 0, tokens))
            }
            return found
          })
      })
      yield* consented({ ...auth, id: "elsewhere" })
      const second = (yield* stored("elsewhere")) ?? assert.fail()
      const elsewhere = Effect.succeed(second)
      assert.strictEqual((yield* orders(server, second.accessToken)).status, 200)
      const revocation = yield* Effect.provideService(revokeGrant(auth), TokenStore, raced)
      assert.strictEqual(revocation._tag, "Revoked")
      assert.strictEqual((yield* orders(server, first)).status, 401)
      assert.strictEqual((yield* orders(server, second.accessToken)).status, 401)
      assert.isUndefined(yield* stored())
    })
  )

  against("waits for a refresh that is under way", (server) =>
    Effect.gen(function* () {
      const auth = authOf(server)
      yield* consented(auth)
      const scope = yield* Scope.make()
      yield* Scope.provide(
        Leases.use((leases) => leases.acquire("tokens/shop", { ttl: "1 minute" })),
        scope
      )
      const revoking = yield* Effect.forkChild(revokeGrant(auth), { startImmediately: true })
      yield* Effect.sleep("300 millis")
      assert.isDefined(yield* stored())
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(revoking))._tag, "Revoked")
    })
  )
})

describe("the server's odd ways", () => {
  /** Refreshes once after a consent, with what the server then does. */
  const refreshed = (server: ConsentServer, change: () => void) =>
    Effect.gen(function* () {
      const auth = authOf(server)
      yield* consented(auth)
      const manager = yield* (yield* Tokens).manager(auth)
      const token = yield* manager.get
      change()
      yield* manager.rejected(token)
      return yield* manager.get
    })

  against("a lost answer is recovered from where a replaced token has grace", (server) =>
    Effect.gen(function* () {
      server.control.graceMs(60_000)
      const token = yield* refreshed(server, () => server.control.next("drop"))
      assert.strictEqual((yield* orders(server, token.value)).status, 200)
    })
  )

  against("a lost answer ends in consent where it has none", (server) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(refreshed(server, () => server.control.next("drop")))
      assert.strictEqual(error._tag === "TokenError" ? error.failureClass : error._tag, "needs-consent")
      assert.match(error.message, /Run: tributary consent shop/)
    })
  )

  for (const fault of ["internal-error", "error-200", "reset"] as const) {
    against(`${fault} passes`, (server) =>
      Effect.gen(function* () {
        const token = yield* refreshed(server, () => server.control.next(fault))
        assert.strictEqual((yield* orders(server, token.value)).status, 200)
      })
    )
  }

  against(
    "a refresh that comes too early is refused",
    (server) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(refreshed(server, () => undefined))
        assert.match(error.message, /the access token has not expired yet/)
      }),
    { refreshWindow: 10 }
  )

  against(
    "one token too many is throttled",
    (server) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(refreshed(server, () => undefined))
        assert.strictEqual(error._tag === "TokenError" ? error.failureClass : error._tag, "throttled")
      }),
    { quota: { tokens: 1, perMs: 60_000 } }
  )
})
