import { PlaceError } from "../PlaceError.ts"
import { plainText } from "../plainText.ts"

const throttled = /Throttl|TooManyRequests|LimitExceeded|RequestLimitExceeded|SlowDown/
const denied = /AccessDenied|Unauthorized|AuthorizationError/
const credentials =
  /CredentialsProviderError|UnrecognizedClient|InvalidClientTokenId|ExpiredToken|InvalidSignature|SignatureDoesNotMatch|IncompleteSignature|TokenProviderError|AuthFailure/
const missing = /ResourceNotFound|NotFoundException/
const unusable = /Disabled|InvalidState|PendingDeletion|InvalidKeyUsage/
const foreign = /InvalidCiphertext|IncorrectKey/
const passing =
  /Timeout|ECONN|ENOTFOUND|EAI_AGAIN|EPIPE|EHOSTUNREACH|ENETUNREACH|NetworkingError|InternalFailure|InternalService|ServiceUnavailable|DependencyTimeout|KeyUnavailable/

/** What an error of the AWS clients means. `needs` is the permission, as in "secretsmanager:GetSecretValue". */
export const awsFailure =
  (place: string, needs: string) =>
  (error: unknown): PlaceError => {
    const name = error instanceof Error ? error.name : "unknown"
    const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : name
    const metadata: unknown = error instanceof Error && "$metadata" in error ? error.$metadata : undefined
    const status =
      typeof metadata === "object" && metadata !== null && "httpStatusCode" in metadata
        ? metadata.httpStatusCode
        : undefined
    const said = error instanceof Error && name !== "AggregateError" ? plainText(error.message) : ""
    const wrong = (problem: string, failureClass: PlaceError["failureClass"] = "misconfigured") =>
      new PlaceError({ place, problem, failureClass })

    if (throttled.test(name) || status === 429) {
      return wrong(`it asks to be spared (${name}). It is tried again.`, "throttled")
    }
    if (credentials.test(name)) {
      return wrong(
        `there are no credentials that it takes (${name}: ${said}). Give some where the AWS SDK looks: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or a role of the machine, container or service account.`
      )
    }
    if (/Region is missing/i.test(said)) return wrong("no region is given. Set AWS_REGION.")
    if (missing.test(name))
      return wrong(`it does not exist in this account and region. Create it, or correct its name (${said}).`)
    if (denied.test(name) || status === 403) {
      return wrong(`it is denied (${name}). Let a policy of these credentials allow ${needs} on it.`)
    }
    if (unusable.test(name)) return wrong(`it cannot be used now (${name}: ${said}). Enable it, or name another.`)
    if (foreign.test(name)) return wrong(`this was not encrypted with it, or was changed (${name}).`)
    if (passing.test(name) || passing.test(code) || (typeof status === "number" && status >= 500)) {
      return wrong(
        `it does not answer as it should (${code === name ? name : `${name}, ${code}`}). It is tried again.`,
        "transient"
      )
    }
    return wrong(`it answered ${name}: ${said}`)
  }
