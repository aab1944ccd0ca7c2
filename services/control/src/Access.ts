import { BadRequest, ControlAuthorization, ControlRequests, Forbidden, Unauthorized } from "@tributary/domain/control"
import { Config, Effect, Layer, Option, Redacted, Schema, SchemaIssue } from "effect"
import { HttpServerRequest } from "effect/http"
import { HttpApiMiddleware } from "effect/http-api"
import { createHash, timingSafeEqual } from "node:crypto"
import { formatListenAddress, type ListenAddress } from "./Listen.ts"

/** The control API would be open to the network. */
export class NeedsToken extends Schema.TaggedError<NeedsToken>()("NeedsToken", { address: Schema.String }) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return (
      `The control API would listen on ${this.address}, which others can reach, and ask nobody who they are. ` +
      "Set TRIBUTARY_CONTROL_TOKEN to a long random text, or listen on 127.0.0.1."
    )
  }
}

/** Token that requests must carry (`TRIBUTARY_CONTROL_TOKEN`); none when it is not set or blank. */
export const controlToken = Config.option(Config.Redacted("TRIBUTARY_CONTROL_TOKEN")).pipe(
  Config.map((token) =>
    token.pipe(
      // A token read from a file ends with a line break.
      Option.map((given) => Redacted.make(Redacted.value(given).trim())),
      Option.filter((given) => Redacted.value(given) !== "")
    )
  )
)
export type ControlToken = Option.Option<Redacted.Redacted>

const isLoopback = (host: string): boolean =>
  /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?|\[?::ffff:127(\.\d{1,3}){3}\]?)$/iu.test(host)

/** Fails when the API could be reached from other machines and has no token. */
export const requireToken = (at: ListenAddress, token: ControlToken): Effect.Effect<void, NeedsToken> =>
  Option.isSome(token) || isLoopback(at.host)
    ? Effect.void
    : Effect.fail(new NeedsToken({ address: formatListenAddress(at) }))

const digest = (text: string) => createHash("sha256").update(text).digest()

const hostOf = (header: string | undefined): string => (header ?? "").replace(/:\d+$/u, "")

/**
 * Lets a request through that carries the token; the comparison takes as long for a wrong one. Without a token a request must
 * have come under a loopback name: a page in a browser could otherwise reach the API under a name of its own that it points to
 * 127.0.0.1 (DNS rebinding).
 */
export const authorize = Effect.fnUntraced(function* (token: ControlToken, given: Redacted.Redacted) {
  if (Option.isSome(token)) {
    const isRight = timingSafeEqual(digest(Redacted.value(given)), digest(Redacted.value(token.value)))
    return isRight
      ? undefined
      : yield* new Unauthorized({
          message:
            "The request needs the header Authorization: Bearer <token>, with the token that the server was given."
        })
  }
  const { headers } = yield* HttpServerRequest.HttpServerRequest
  return isLoopback(hostOf(headers["host"]))
    ? undefined
    : yield* new Forbidden({
        message:
          "Without a token only requests to localhost, 127.0.0.1 or [::1] are answered. Use one of these names, or give the server a token (TRIBUTARY_CONTROL_TOKEN)."
      })
})

export const authorization = (token: ControlToken) =>
  Layer.succeed(ControlAuthorization, {
    bearer: (handled, { credential }) => Effect.andThen(authorize(token, credential), handled)
  })

const issuesOf = SchemaIssue.makeFormatterStandardSchemaV1()

/** Says what is wrong with a request; never repeats what it holds. */
export const requests = HttpApiMiddleware.layerSchemaErrorTransform(ControlRequests, (error) => {
  if (error.kind === "Body" || error.kind === "ResponseHeaders") return Effect.fail(error)
  const places = issuesOf(error.cause.issue).issues.map(({ path = [] }) =>
    path.map((part) => (typeof part === "object" ? String(part.key) : String(part))).join(".")
  )
  const named = [...new Set(places.filter((place) => place !== ""))]
  const what = error.kind === "Payload" ? "body" : error.kind === "Query" ? "query" : "path"
  return Effect.fail(
    new BadRequest({
      message:
        `The ${what} of the request is not as it should be${named.length === 0 ? "" : ` at ${named.join(", ")}`}. ` +
        "GET /openapi.json says what is expected."
    })
  )
})
