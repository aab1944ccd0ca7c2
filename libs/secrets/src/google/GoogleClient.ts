import { Effect, Option, Redacted, Schema } from "effect"
import { GoogleAuth } from "google-auth-library"
import { makeHttp } from "../HttpCall.ts"
import { PlaceError } from "../PlaceError.ts"
import { plainText } from "../plainText.ts"

const Problem = Schema.fromJsonString(
  Schema.Struct({ error: Schema.Struct({ status: Schema.optional(Schema.String), message: Schema.String }) })
)
const decodeProblem = Schema.decodeUnknownOption(Problem)
const decodeJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))

/** What a refusal means (https://cloud.google.com/apis/design/errors). `needs` is the permission. */
const refused = (place: string, needs: string, status: number, body: string): PlaceError => {
  const problem = Option.getOrUndefined(decodeProblem(body))?.error
  const name = problem?.status ?? String(status)
  const said = plainText(problem?.message ?? "")
  const wrong = (text: string, failureClass: PlaceError["failureClass"] = "misconfigured") =>
    new PlaceError({ place, problem: text, failureClass })
  switch (status) {
    case 401:
      return wrong(
        `its credentials are refused (${name}). Check GOOGLE_APPLICATION_CREDENTIALS, or the machine's service account.`
      )
    case 403:
      return wrong(`it is denied (${said}). Give the service account ${needs}, and enable the API in the project.`)
    case 404:
      return wrong(`it does not exist (${said}). Create it, or correct its name.`)
    case 408:
    case 499:
      return wrong(`it gave up (${name}). It is tried again.`, "transient")
    case 429:
      return wrong(`it asks to be spared (${name}). It is tried again.`, "throttled")
    default:
      return status >= 500
        ? wrong(`it answered ${status} (${name}). It is tried again.`, "transient")
        : wrong(`it answered ${status} (${name}: ${said}).`)
  }
}

/** Calls Google's REST APIs with the credentials of the place (Application Default Credentials). */
export const makeGoogleClient = Effect.gen(function* () {
  const http = yield* makeHttp(undefined)
  const auth = new GoogleAuth({ scopes: ["https://www.googleapis.com/auth/cloud-platform"] })
  const credentials = <A>(place: string, look: () => Promise<A>) =>
    Effect.tryPromise({
      try: look,
      catch: (error) => {
        const code = error instanceof Error && "code" in error ? String(error.code) : ""
        const isPassing = /^(ECONN|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOST|ENET|5\d\d)/.test(code)
        const said = plainText(error instanceof Error ? error.message : "unknown")
        return new PlaceError({
          place,
          problem: isPassing
            ? `no access token could be had for it (${code}). It is tried again.`
            : `there are no credentials for it (${said}). Set GOOGLE_APPLICATION_CREDENTIALS to the file of a service account or of workload identity, or run where a service account is attached.`,
          failureClass: isPassing ? "transient" : "misconfigured"
        })
      }
    })

  /** One request. The answer is decoded by the caller. */
  const ask = Effect.fnUntraced(function* (
    place: string,
    needs: string,
    url: string,
    body?: Redacted.Redacted<object>
  ) {
    const token = Redacted.make(yield* credentials(place, () => auth.getAccessToken()))
    const answer = yield* http(place, {
      method: body === undefined ? "GET" : "POST",
      url,
      headers: Redacted.make({
        authorization: `Bearer ${Redacted.value(token) ?? ""}`,
        ...(body === undefined ? {} : { "content-type": "application/json" })
      }),
      ...(body === undefined ? {} : { body: Redacted.make(JSON.stringify(Redacted.value(body))) })
    })
    const text = Redacted.value(answer.body)
    if (answer.status !== 200) return yield* refused(place, needs, answer.status, text)
    const parsed = decodeJson(text)
    if (Option.isSome(parsed)) return Redacted.make(parsed.value)
    return yield* new PlaceError({
      place,
      problem: "it answered something that is no JSON.",
      failureClass: "transient"
    })
  })

  return {
    ask,
    /** The project that the credentials belong to. */
    project: (place: string) => credentials(place, () => auth.getProjectId())
  }
})

/** What arrived is not what was sent; asked again, it mostly is. */
export const damaged = (place: string): PlaceError =>
  new PlaceError({
    place,
    problem: "its answer was damaged on the way (its CRC-32C is another). It is tried again.",
    failureClass: "transient"
  })
