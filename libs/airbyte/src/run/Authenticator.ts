import { Clock, Effect } from "effect"
import { PyTimeDelta } from "../expression/DateTime.ts"
import { parseDuration } from "../expression/Duration.ts"
import { str } from "../expression/Repr.ts"
import { Component } from "../component/Component.ts"
import { decoderOf } from "../component/Decoder.ts"
import * as Dpath from "../component/Dpath.ts"
import { hookOf } from "../component/Hooks.ts"
import { jwtOf } from "../component/Jwt.ts"
import { injected, RequestOption } from "../component/RequestOption.ts"
import { type Credentials, noCredentials } from "../component/Requests.ts"
import { failure, type RunError } from "../component/RunError.ts"
import { askingContext, awaited } from "./asking.ts"
import { withEquivalent } from "../component/authenticatorVariants.ts"
import { legacySession } from "./LegacySession.ts"
import { oauth } from "./OAuth.ts"
import { pure } from "./pure.ts"
import { type Authenticator, isRefusal, type Requester } from "./Parts.ts"
import { rotatingTokens } from "./RotatingTokens.ts"
import type { Run } from "./Run.ts"

/** Makes the requester of a login, or of a question about tokens, which has an authenticator of its own. */
type MakeRequester = (component: Component, authenticator?: Authenticator) => Effect.Effect<Requester, RunError>

const noAuthenticator: Authenticator = { credentials: Effect.succeed(noCredentials), refresh: undefined }

const header = (name: string, value: string): Credentials => ({ ...noCredentials, headers: { [name]: value } })

const bearer = (token: Effect.Effect<string, RunError>): Authenticator => ({
  credentials: Effect.map(token, (value) => header("Authorization", `Bearer ${value}`)),
  refresh: undefined
})

const injectedToken = (option: RequestOption, token: Effect.Effect<string, RunError>): Authenticator => ({
  credentials: Effect.flatMap(token, (value) =>
    pure((): Credentials => ({
      headers: injected(option, "header", value),
      params: injected(option, "request_parameter", value),
      data: injected(option, "body_data", value),
      json: injected(option, "body_json", value)
    }))
  ),
  refresh: undefined
})

const optionOf = (run: Run, component: Component | undefined, name: string): RequestOption => {
  if (component !== undefined) return new RequestOption(component, run.expressions)
  return new RequestOption(plainHeader(name), run.expressions)
}

const plainHeader = (name: string) =>
  new Component({ type: "RequestOption", inject_into: "header", field_name: name }, "")

const apiKey = (run: Run, component: Component): Authenticator => {
  const inject = component.child("inject_into")
  const name = component.optionalText("header")
  if (inject === undefined && name === undefined) component.fail("", "inject_into is missing.")
  if (inject !== undefined && name !== undefined) component.fail("header", "remove it: inject_into is given.")
  // The header's name may be a template with the parameters of the authenticator.
  const option =
    inject === undefined
      ? new RequestOption(plainHeader(name ?? "").with("$parameters", component.parameters), run.expressions)
      : optionOf(run, inject, "")
  return injectedToken(
    option,
    pure(() => run.expressions.text(component.optionalText("api_token") ?? "", component.parameters))
  )
}

const basic = (run: Run, component: Component): Authenticator => ({
  credentials: pure(() => {
    const user = run.expressions.text(component.get("username") ?? "", component.parameters)
    const password = run.expressions.text(component.get("password") ?? "", component.parameters)
    return header("Authorization", `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`)
  }),
  refresh: undefined
})

const selective = (run: Run, component: Component, requester: MakeRequester): Effect.Effect<Authenticator, RunError> =>
  Effect.flatMap(
    pure(() => {
      const found = Dpath.get(run.expressions.config ?? {}, component.texts("authenticator_selection_path"))
      if (found === undefined) {
        return component.fail("authenticator_selection_path", "the config has nothing there.")
      }
      const chosen = component.needed("authenticators").child(str(found))
      return chosen ?? component.fail("authenticators", `there is none named ${str(found)}.`)
    }),
    (chosen) => makeAuthenticator(run, chosen, requester)
  )

const sessionToken = Effect.fnUntraced(function* (run: Run, component: Component, requester: MakeRequester) {
  const login = yield* requester(component.needed("login_requester"))
  const decoder = decoderOf(component.child("decoder"), run.expressions)
  const path = component.texts("session_token_path")
  const lasts = component.optionalText("expiration_duration")
  const life = yield* pure(() => (lasts === undefined ? undefined : parseDuration(lasts)))
  let held: { readonly token: string; readonly until: number } | undefined
  const token = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    if (held !== undefined && life !== undefined && held.until >= now) return held.token
    const answer = yield* login.send(undefined, undefined)
    if (isRefusal(answer) || !answer.ok) {
      return yield* failure("Failed to get session token, response got ignored by requester", "config_error")
    }
    const found = yield* pure(() => {
      for (const body of decoder.decode(answer)) return Dpath.get(body, path)
      return undefined
    })
    if (found === undefined || found === null) {
      return yield* failure(`The login's answer has nothing at ${path.join(".")} (session_token_path)`, "config_error")
    }
    const millis = life instanceof PyTimeDelta ? Number(life.micros / 1000n) : 0
    held = { token: str(found), until: now + millis }
    return held.token
  })
  const use = yield* pure(() => component.needed("request_authentication"))
  if (use.type === "Bearer") return bearer(token)
  const template = use.optionalText("api_token")
  const option = yield* pure(() => optionOf(run, use.child("inject_into"), ""))
  return injectedToken(
    option,
    Effect.flatMap(token, (session) =>
      pure(() =>
        template === undefined
          ? session
          : run.expressions.text(template, component.parameters, { session_token: session })
      )
    )
  )
})

const jwt = (
  run: Run,
  component: Component
): Effect.Effect<Authenticator & { readonly token: Effect.Effect<string, RunError> }, RunError> =>
  pure(() => {
    const make = jwtOf(component, run.expressions)
    const option = optionOf(run, component.child("request_option"), "Authorization")
    const token = Effect.flatMap(Clock.currentTimeMillis, (now) => pure(() => make(Math.floor(now / 1000))))
    return { ...injectedToken(option, token), token }
  })

const custom = (run: Run, component: Component): Authenticator => {
  const hook = hookOf(component, run.expressions, "authenticators")
  const context = askingContext(run, component)
  return {
    credentials: Effect.map(
      awaited(component, () => hook(context)),
      ({ headers = {}, query = {} }) => ({ ...noCredentials, headers: { ...headers }, params: { ...query } })
    ),
    refresh: undefined
  }
}

/** Whether a hook stands for a component: it goes before what is known of its class. */
const hasHook = ({ expressions }: Run, component: Component): boolean =>
  Object.hasOwn(expressions.environment.hooks?.authenticators ?? {}, component.optionalText("class_name") ?? "")

/** The authenticator of a component. Makes no request. */
export const makeAuthenticator = (
  run: Run,
  given: Component | undefined,
  requester: MakeRequester
): Effect.Effect<Authenticator, RunError> =>
  Effect.flatMap(
    pure(() => (given === undefined || hasHook(run, given) ? given : withEquivalent(given, run.expressions))),
    (component) => authenticatorOf(run, component, requester)
  )

const authenticatorOf = (
  run: Run,
  component: Component | undefined,
  requester: MakeRequester
): Effect.Effect<Authenticator, RunError> => {
  const { authorization } = run
  if (authorization?.replaces === "all" && component !== undefined)
    return Effect.succeed(authorization.authenticator(component))
  if (authorization?.replaces === "oauth" && component?.type === "OAuthAuthenticator") {
    return Effect.gen(function* () {
      return (yield* authorization.authenticator(component)) ?? (yield* ownAuthenticator(run, component, requester))
    })
  }
  return ownAuthenticator(run, component, requester)
}

/** What the manifest says, whatever the connector has in its place. */
const ownAuthenticator = (
  run: Run,
  component: Component | undefined,
  requester: MakeRequester
): Effect.Effect<Authenticator, RunError> => {
  switch (component?.type) {
    case "ApiKeyAuthenticator":
      return pure(() => apiKey(run, component))
    case "BearerAuthenticator":
      return Effect.succeed(
        bearer(pure(() => run.expressions.text(component.get("api_token") ?? "", component.parameters)))
      )
    case "BasicHttpAuthenticator":
      return Effect.succeed(basic(run, component))
    case "OAuthAuthenticator": {
      const isSigned = component.optionalText("client_authentication") === "private_key_jwt"
      const profile = component.child(isSigned ? "client_assertion" : "profile_assertion")
      return profile === undefined
        ? pure(() => oauth(run, component, undefined))
        : Effect.flatMap(jwt(run, profile), ({ token }) => pure(() => oauth(run, component, token)))
    }
    case "RateLimitedMultipleTokenAuthenticator":
      return rotatingTokens(run, component, requester)
    case "SelectiveAuthenticator":
      return selective(run, component, requester)
    case "SessionTokenAuthenticator":
      return sessionToken(run, component, requester)
    case "LegacySessionTokenAuthenticator":
      return Effect.succeed(legacySession(run, component))
    case "JwtAuthenticator":
      return jwt(run, component)
    case "CustomAuthenticator":
      return pure(() => custom(run, component))
    case "NoAuth":
    case undefined:
      return Effect.succeed(noAuthenticator)
    default:
      return pure(
        () => component?.fail("type", `${component.type} is not there yet.`, "unsupported") ?? noAuthenticator
      )
  }
}
