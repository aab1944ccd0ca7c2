import { Clock, Duration, Effect, Redacted } from "effect"
import * as oauth from "oauth4webapi"
import { clean } from "../clean.ts"
import type { GrantRequest } from "../Grant.ts"
import { grantTypes } from "../grantType.ts"
import { asResponse } from "../response/asResponse.ts"
import type { makeServerLink } from "../ServerLink.ts"
import type { Settings } from "../Settings.ts"
import type { TokenEndpoint } from "../TokenEndpoint.ts"
import type { TokenError } from "../TokenError.ts"
import { ConsentError } from "./ConsentError.ts"

/** What a person is told, to consent on another device (RFC 8628, section 3.2). */
export interface DevicePrompt {
  readonly userCode: string
  readonly verificationUri: string
  /** With the code in it, where the server offers that. */
  readonly verificationUriComplete: string | undefined
  /** Milliseconds since 1970. */
  readonly expiresAt: number
  /** Time between two questions whether the person is done. */
  readonly interval: Duration.Duration
  readonly deviceCode: Redacted.Redacted<string>
}

/** RFC 8628, section 3.5: so much longer is waited when the server finds that it is asked too often. */
const slowDown = Duration.seconds(5)
const longestInterval = Duration.minutes(2)
/** The server's default where it names none. */
const defaultInterval = 5

/** The device grant (RFC 8628) of an authorization. */
export const makeDeviceFlow = (options: {
  readonly id: string
  readonly settings: Settings
  readonly link: Effect.Success<ReturnType<typeof makeServerLink>>
  readonly server: Effect.Effect<oauth.AuthorizationServer, TokenError>
  readonly params: Readonly<Record<string, string>>
  readonly exchange: TokenEndpoint["exchange"]
  readonly requestFor: (
    grantType: string,
    values: Readonly<Record<string, string>>
  ) => Effect.Effect<GrantRequest, TokenError>
}) => {
  const { exchange, id, link, params, requestFor, server, settings } = options

  const failure = (reason: ConsentError["reason"], problem: string, advice: string) =>
    new ConsentError({ authorization: id, reason, problem, advice })

  const begin = Effect.gen(function* () {
    const as = yield* server
    const endpoint = yield* link.endpointOf(as, "device_authorization_endpoint")
    const { authenticate, secrets } = yield* link.authentication(as, link.secretsToTry()[0])
    const scope = settings.consentScope
    const parameters = {
      ...params,
      ...(scope === "" ? {} : { scope }),
      ...(settings.audience === undefined ? {} : { audience: settings.audience }),
      ...(settings.resource === undefined ? {} : { resource: settings.resource })
    }
    const wire = yield* link.capture(
      (request) => oauth.deviceAuthorizationRequest(as, link.client, authenticate, parameters, request),
      endpoint
    )
    const answer = yield* Effect.mapError(link.send(endpoint, wire), ({ error }) => error)
    const now = yield* Clock.currentTimeMillis
    if (answer.status === 429 || answer.status >= 500) {
      return yield* link.failure(endpoint, {
        failureClass: answer.status === 429 ? "throttled" : "transient",
        problem: `the server answered ${answer.status}.`,
        advice: "Try again later."
      })
    }
    const found = yield* Effect.tryPromise({
      try: () => oauth.processDeviceAuthorizationResponse(as, link.client, asResponse(answer)),
      catch: (error) =>
        link.failure(endpoint, {
          failureClass: "misconfigured",
          problem: clean(
            `the server answered ${answer.status} ${
              error instanceof oauth.ResponseBodyError
                ? `${error.error} ${error.error_description ?? ""}`.trim()
                : "with something else than RFC 8628 prescribes"
            }.`,
            secrets
          ),
          advice: "Check the client's settings, and whether the server lets this client use the device grant."
        })
    })
    // A person opens it, or pastes it into a browser.
    if (!/^https?:\/\//iu.test(found.verification_uri)) {
      return yield* link.failure(endpoint, {
        failureClass: "misconfigured",
        problem: "what the server names for entering the code (verification_uri) is no address of a page.",
        advice: "Check `issuer` or `device_authorization_url`."
      })
    }
    return {
      userCode: found.user_code,
      verificationUri: found.verification_uri,
      verificationUriComplete: found.verification_uri_complete,
      expiresAt: now + found.expires_in * 1000,
      interval: Duration.seconds(found.interval ?? defaultInterval),
      deviceCode: Redacted.make(found.device_code)
    } satisfies DevicePrompt
  }).pipe(Effect.withSpan("Consent.beginDevice"))

  const wait = Effect.fnUntraced(function* (prompt: DevicePrompt) {
    let { interval } = prompt
    const longer = (next: Duration.Duration) => {
      interval = Duration.min(next, longestInterval)
    }
    for (;;) {
      yield* Effect.sleep(interval)
      const now = yield* Clock.currentTimeMillis
      if (now >= prompt.expiresAt) {
        return yield* failure("expired", "the code was not entered in time.", "Run the command again for a new one.")
      }
      const request = yield* requestFor(grantTypes.device_code, { device_code: Redacted.value(prompt.deviceCode) })
      const result = yield* Effect.result(exchange(request))
      if (result._tag === "Success") return result.success
      const { code, error } = result.failure
      switch (code) {
        case "authorization_pending":
          continue
        case "slow_down":
          longer(Duration.sum(interval, slowDown))
          continue
        case "expired_token":
          return yield* failure("expired", "the code was not entered in time.", "Run the command again for a new one.")
        case "access_denied":
          return yield* failure("denied", "access was denied.", "Run the command again, and allow it.")
        case "invalid_grant":
          return yield* failure(
            "refused",
            `the server refuses the device's code: ${error.problem}`,
            "Run the command again for a new one."
          )
        default:
          if (error.failureClass !== "transient" && error.failureClass !== "throttled") return yield* error
          // RFC 8628, section 3.5: exponential when the server cannot be reached.
          longer(Duration.times(interval, 2))
      }
    }
  })

  return { begin, wait }
}
