import { ByteSize, Cause, Effect } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"

/** Most bytes of a request's body; a connector file is at most as large. */
const largestBody = 1024 * 1024

const answer = (status: number, code: string, message: string, headers: Record<string, string> = {}) =>
  HttpServerResponse.jsonUnsafe({ code, message }, { status, headers })

const tooLarge = answer(
  413,
  "too_large",
  `The body of the request has more than ${largestBody} bytes. Split the connector into several.`,
  // The rest of the body is not waited for.
  { connection: "close" }
)

const broken = answer(
  500,
  "internal",
  "This should not have happened. The server's log says what did; please report it."
)

const notFound = (method: string, url: string) =>
  answer(404, "not_found", `There is no ${method} ${url.split("?")[0]}. GET /openapi.json says what there is.`)

/** What a response without a JSON body of its own says, by its status. */
const plain = (status: number, method: string, url: string): HttpServerResponse.HttpServerResponse => {
  switch (status) {
    case 404:
      return notFound(method, url)
    case 413:
      return tooLarge
    case 415:
      return answer(
        415,
        "unsupported_media_type",
        "The content type of the body is not known. Send a connector file as text/plain or application/yaml, or JSON {text, scripts} as application/json."
      )
    default:
      return answer(status, status >= 500 ? "internal" : "bad_request", `The request was refused (${status}).`)
  }
}

const responseTo = (cause: Cause.Cause<unknown>, request: HttpServerRequest.HttpServerRequest) => {
  for (const reason of cause.reasons) {
    const error = Cause.isFailReason(reason) ? reason.error : Cause.isDieReason(reason) ? reason.defect : undefined
    if (HttpServerResponse.isHttpServerResponse(error)) return Effect.succeed(error)
    if (!(error instanceof HttpServerError.HttpServerError)) continue
    if (error.reason._tag === "RouteNotFound") return Effect.succeed(notFound(request.method, request.url))
    if (error.reason._tag === "RequestParseError") {
      return Effect.succeed(
        error.reason.reason === "BodyTooLarge"
          ? tooLarge
          : answer(400, "bad_request", "The body of the request cannot be read.")
      )
    }
  }
  return Effect.as(Effect.logError(`${request.method} ${request.url.split("?")[0]} failed.`, cause), broken)
}

const hasJson = ({ body }: HttpServerResponse.HttpServerResponse): boolean =>
  body._tag !== "Empty" && body.contentType?.startsWith("application/json") === true

/** Bounds the bodies of requests, and gives every error that has no JSON body one: `{code, message}`. */
export const jsonErrors = HttpRouter.use((router) =>
  router.addGlobalMiddleware((handled) =>
    Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
      Number(request.headers["content-length"] ?? 0) > largestBody
        ? Effect.succeed(tooLarge)
        : handled.pipe(
            Effect.provideService(HttpIncomingMessage.MaxBodySize, ByteSize.bytes(largestBody)),
            Effect.map((response) => {
              if (response.status === 401) return HttpServerResponse.setHeader(response, "www-authenticate", "Bearer")
              return response.status < 400 || hasJson(response)
                ? response
                : plain(response.status, request.method, request.url)
            }),
            Effect.catchCauseIf(
              (cause) => !Cause.hasInterruptsOnly(cause),
              (cause) => responseTo(cause, request)
            )
          )
    )
  )
)
