import * as oauth from "oauth4webapi"
import { clean } from "../clean.ts"
import { ConsentError } from "./ConsentError.ts"

/** An authorization request that a person was sent to, and what its answer is judged by. */
interface Expected {
  readonly authorization: string
  readonly state: string
  readonly as: oauth.AuthorizationServer
  /** Whether the server's issuer is known from its metadata; else an `iss` has nothing to be compared with. */
  readonly isDiscovered: boolean
}

const denied = new Set(["access_denied", "consent_required", "user_denied", "user_cancelled_login", "cancelled"])

const advices: Readonly<Record<string, string>> = {
  invalid_scope: "Correct `scopes`: ask only for scopes that the server grants to this client.",
  unauthorized_client: "Allow this client to use the code grant at the server.",
  invalid_target: "Correct `resource` or `audience`.",
  server_error: "Try again later.",
  temporarily_unavailable: "Try again later."
}

/**
 * The code in the parameters that a server sent a browser back with (RFC 6749, section 4.1.2), or why there is none. What is not the
 * answer to this request, by state or issuer (RFC 9207), is refused before anything else in it is believed.
 */
export const codeOf = (
  given: URLSearchParams,
  { as, authorization, isDiscovered, state }: Expected
): URLSearchParams | ConsentError => {
  const failure = (reason: ConsentError["reason"], problem: string, advice: string) =>
    new ConsentError({ authorization, reason, problem, advice })
  const parameters = new URLSearchParams(given)
  for (const name of ["state", "iss", "code", "error"]) {
    if (parameters.getAll(name).length > 1) {
      return failure("input", `the redirect has \`${name}\` twice.`, "It was not used. Begin anew.")
    }
  }
  const told = parameters.get("state")
  if (told !== state) {
    return failure(
      "wrong-state",
      told === null
        ? "the redirect has no `state`."
        : "the redirect has another `state` than this request: it is the answer to another one, or somebody planted it.",
      "It was not used. Begin anew, and use the browser window that was opened for it."
    )
  }
  const issuer = parameters.get("iss")
  if (!isDiscovered) {
    parameters.delete("iss")
  } else if (issuer === null && as.authorization_response_iss_parameter_supported === true) {
    return failure(
      "wrong-issuer",
      "the redirect has no `iss`, which this server says it sends (RFC 9207).",
      "The code was not used. Begin anew; if this stays, something between the browser and this program changes addresses."
    )
  } else if (issuer !== null && issuer !== as.issuer) {
    return failure(
      "wrong-issuer",
      `the redirect is that of another server (${clean(issuer, []).slice(0, 100)}); ${as.issuer} was asked (RFC 9207).`,
      "The code was not used. Begin anew, and check `issuer`."
    )
  }
  const error = parameters.get("error")
  if (error !== null) {
    const code = clean(error, []).slice(0, 60)
    const description = clean(parameters.get("error_description") ?? "", []).slice(0, 200)
    const said = description === "" ? code : `${code} "${description}"`
    return denied.has(error)
      ? failure("denied", `access was denied (${said}).`, "Run the command again, and allow it.")
      : failure("refused", `the server refused (${said}).`, advices[error] ?? "Check the settings of `auth`.")
  }
  try {
    return oauth.validateAuthResponse(as, { client_id: "-" }, parameters, state)
  } catch {
    return failure("input", "the redirect is not what RFC 6749 prescribes.", "Check `authorization_url`, or `issuer`.")
  }
}
