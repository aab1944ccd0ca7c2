import { Clock, Effect, Option, Redacted, Schema, Semaphore } from "effect"
import { makeHttp } from "../HttpCall.ts"
import { PlaceError } from "../PlaceError.ts"
import { plainText } from "../plainText.ts"
import { hashicorpSettings } from "./HashicorpSettings.ts"

/** A question to Vault's HTTP API; `path` is what comes after `/v1/`. */
export interface Question {
  readonly method: "GET" | "POST"
  readonly path: string
  readonly body?: Redacted.Redacted<object>
}

export interface HashicorpClient {
  /** Vault as a message names it. */
  readonly name: string
  /** Asks once, with a token that is good as far as is known, and once more with a new one if that was refused. */
  readonly ask: (place: string, question: Question) => Effect.Effect<Redacted.Redacted<unknown>, PlaceError | Refusal>
}

/** Vault answered, and not with what was asked for. */
export class Refusal extends Schema.TaggedError<Refusal>()("Refusal", {
  status: Schema.Int,
  said: Schema.String
}) {}

/** A refusal as an error, where it has no particular meaning. */
export const refusalToError = (place: string, { said, status }: Refusal, needs: string): PlaceError => {
  const words = said === "" ? "" : ` (${said})`
  const wrong = (problem: string, failureClass: PlaceError["failureClass"]) =>
    new PlaceError({ place, problem, failureClass })
  if (status === 403) {
    return wrong(`it is denied${words}. Let a policy of the token, or of its role, allow ${needs}.`, "misconfigured")
  }
  if (status === 404) return wrong(`there is nothing${words}. Create it, or correct its path.`, "misconfigured")
  if (status === 429) return wrong("it asks to be spared (429). It is tried again.", "throttled")
  if (status === 503) {
    return wrong(`it is sealed or in maintenance (503). It is tried again; unseal it if this stays.`, "transient")
  }
  // 412: this node does not know yet what another one has stored. 473, 472: a standby node.
  if (status >= 500 || status === 412 || status === 472 || status === 473) {
    return wrong(`it answered ${status}${words}. It is tried again.`, "transient")
  }
  if (status >= 300 && status < 400) {
    return wrong(
      `it answered ${status}, and redirects are not followed. Set VAULT_ADDR to the active node.`,
      "misconfigured"
    )
  }
  return wrong(`it answered ${status}${words}.`, "misconfigured")
}

const Errors = Schema.fromJsonString(Schema.Struct({ errors: Schema.Array(Schema.String) }))
const decodeErrors = Schema.decodeUnknownOption(Errors)
const decodeJson = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))

const Issued = Schema.Struct({
  auth: Schema.Struct({ client_token: Schema.String, lease_duration: Schema.Finite, renewable: Schema.Boolean })
})
const decodeIssued = Schema.decodeUnknownOption(Issued)
const LookedUp = Schema.Struct({
  data: Schema.Struct({ ttl: Schema.Finite, renewable: Schema.optional(Schema.Boolean) })
})
const decodeLookedUp = Schema.decodeUnknownOption(LookedUp)

/** A token of Vault's, and how long it is good. Times are milliseconds since 1970. */
interface Session {
  readonly token: Redacted.Redacted<string>
  readonly isRenewable: boolean
  /** Infinity: it does not end. */
  readonly renewAt: number
  readonly endsAt: number
}

/** At this share of its life a token is renewed, or replaced. */
const renewAfter = 2 / 3
/** A life shorter than this is near the longest that Vault allows; a new token is asked for then. */
const shortestLife = 30_000

const sessionOf = (token: Redacted.Redacted<string>, seconds: number, isRenewable: boolean, now: number): Session =>
  seconds === 0
    ? { token, isRenewable: false, renewAt: Infinity, endsAt: Infinity }
    : { token, isRenewable, renewAt: now + seconds * 1000 * renewAfter, endsAt: now + seconds * 1000 }

/**
 * A client of HashiCorp Vault's HTTP API (https://developer.hashicorp.com/vault/api-docs), also OpenBao's. It logs in when it is first
 * used, keeps its token alive as long as the scope, and logs in anew when the token came to its end or was revoked.
 */
export const makeHashicorpClient = Effect.gen(function* () {
  const { address, ca, login, namespace } = yield* hashicorpSettings
  const scope = yield* Effect.scope
  const http = yield* makeHttp(ca)
  const lock = yield* Semaphore.make(1)
  const name = `HashiCorp Vault at ${new URL(address).host}`
  let session: Session | undefined
  let isKept = false

  const send = Effect.fnUntraced(function* (
    place: string,
    question: Question,
    token: Redacted.Redacted<string> | undefined
  ) {
    const answer = yield* http(place, {
      method: question.method,
      url: `${address}/v1/${question.path}`,
      headers: Redacted.make({
        "x-vault-request": "true",
        ...(token === undefined ? {} : { "x-vault-token": Redacted.value(token) }),
        ...(namespace === undefined ? {} : { "x-vault-namespace": namespace }),
        ...(question.body === undefined ? {} : { "content-type": "application/json" })
      }),
      ...(question.body === undefined ? {} : { body: Redacted.make(JSON.stringify(Redacted.value(question.body))) })
    })
    const text = Redacted.value(answer.body)
    if (answer.status < 200 || answer.status >= 300) {
      const { errors } = Option.getOrElse(decodeErrors(text), () => ({ errors: [] }))
      return yield* new Refusal({ status: answer.status, said: plainText(errors.join("; ")) })
    }
    const parsed = decodeJson(text === "" ? "null" : text)
    if (Option.isSome(parsed)) return Redacted.make(parsed.value)
    const problem = "it answered something that is no JSON. Check VAULT_ADDR: this does not look like Vault."
    return yield* new PlaceError({ place, problem, failureClass: "misconfigured" })
  })

  const loginPlace = `${name}, login by ${login.method}`
  const strange = new PlaceError({
    place: loginPlace,
    problem: "its answer holds no token. Check VAULT_ADDR and TRIBUTARY_HASHICORP_AUTH_MOUNT.",
    failureClass: "misconfigured"
  })

  /** Asks for a token with credentials. */
  const issued = Effect.fnUntraced(function* (mount: string, body: Redacted.Redacted<object>) {
    const answer = yield* send(loginPlace, { method: "POST", path: `auth/${mount}/login`, body }, undefined).pipe(
      Effect.catchTag("Refusal", (refusal) => {
        if (refusal.status !== 400 && refusal.status !== 403 && refusal.status !== 404) {
          return refusalToError(loginPlace, refusal, "")
        }
        const words = refusal.said === "" ? "" : `: ${refusal.said}`
        const problem = `the credentials are refused (${refusal.status}${words}). Check them, and that the method is enabled at auth/${mount}.`
        return new PlaceError({ place: loginPlace, problem, failureClass: "misconfigured" })
      })
    )
    const decoded = decodeIssued(Redacted.value(answer))
    if (Option.isNone(decoded)) return yield* strange
    const { client_token, lease_duration, renewable } = decoded.value.auth
    const token = Redacted.make(client_token)
    return sessionOf(token, lease_duration, renewable, yield* Clock.currentTimeMillis)
  })

  const open = Effect.gen(function* () {
    switch (login.method) {
      case "approle": {
        const secretId = yield* login.secretId
        return yield* issued(login.mount, Redacted.make({ role_id: login.roleId, secret_id: Redacted.value(secretId) }))
      }
      case "kubernetes":
        return yield* issued(login.mount, Redacted.make({ role: login.role, jwt: Redacted.value(yield* login.jwt) }))
      case "token": {
        const token = yield* login.token
        // A token that may not look at itself is used without being renewed.
        const answer = yield* send(loginPlace, { method: "GET", path: "auth/token/lookup-self" }, token).pipe(
          Effect.catchTag("Refusal", (refusal) =>
            refusal.status === 403
              ? Effect.succeed(Redacted.make<unknown>(null))
              : refusalToError(loginPlace, refusal, "")
          )
        )
        const { data } = Option.getOrElse(decodeLookedUp(Redacted.value(answer)), () => ({
          data: { ttl: 0, renewable: false }
        }))
        return sessionOf(token, data.ttl, data.renewable === true, yield* Clock.currentTimeMillis)
      }
    }
  })

  const renewed = Effect.fnUntraced(function* (old: Session) {
    const answer = yield* send(
      loginPlace,
      { method: "POST", path: "auth/token/renew-self", body: Redacted.make({}) },
      old.token
    ).pipe(
      Effect.catchTag("Refusal", (refusal) => refusalToError(loginPlace, refusal, "update on auth/token/renew-self"))
    )
    const decoded = decodeIssued(Redacted.value(answer))
    if (Option.isNone(decoded)) return yield* strange
    const { lease_duration, renewable } = decoded.value.auth
    return sessionOf(old.token, lease_duration, renewable, yield* Clock.currentTimeMillis)
  })

  /** Renews the token, or replaces it where that is possible and better. */
  const prolong = Effect.fnUntraced(function* (old: Session) {
    if (!old.isRenewable) return login.method === "token" ? { ...old, renewAt: Infinity } : yield* open
    const next = yield* Effect.result(renewed(old))
    if (next._tag === "Success") {
      const life = next.success.endsAt - (yield* Clock.currentTimeMillis)
      return life < shortestLife && login.method !== "token" ? yield* open : next.success
    }
    // A token that was revoked meanwhile, or that cannot live any longer, is replaced.
    return next.failure.failureClass === "misconfigured" ? yield* open : yield* next.failure
  })

  const keepAlive = Effect.gen(function* () {
    for (;;) {
      const now = yield* Clock.currentTimeMillis
      const at = session?.renewAt ?? Infinity
      // What lives long may be replaced meanwhile by something that does not.
      yield* Effect.sleep(Math.min(Math.max(1000, at - now), 60_000))
      yield* Effect.gen(function* () {
        const old = session
        if (old === undefined || (yield* Clock.currentTimeMillis) < old.renewAt) return
        const next = yield* Effect.result(prolong(old))
        if (next._tag === "Success") {
          session = next.success
          return
        }
        yield* Effect.logWarning(`${next.failure.message} The token of Vault is not renewed; it is tried again.`)
        const left = old.endsAt - (yield* Clock.currentTimeMillis)
        session = left <= 0 ? undefined : { ...old, renewAt: old.endsAt - left / 2 }
      }).pipe(lock.withPermit)
    }
  })

  const current = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    if (session !== undefined && now < session.endsAt) return session
    session = yield* open
    if (!isKept) {
      isKept = true
      yield* Effect.forkIn(Effect.interruptible(keepAlive), scope)
    }
    return session
  }).pipe(lock.withPermit)

  const ask: HashicorpClient["ask"] = Effect.fnUntraced(function* (place, question) {
    const used = yield* current
    const first = yield* Effect.result(send(place, question, used.token))
    if (first._tag === "Success") return first.success
    const refusal = first.failure
    if (refusal._tag !== "Refusal" || refusal.status !== 403) return yield* refusal
    // Denied, or the token came to its end before its time: with a new one it is seen which.
    const isNews = yield* Effect.gen(function* () {
      if (session === used) {
        const next = yield* open
        if (login.method === "token" && Redacted.value(next.token) === Redacted.value(used.token)) return false
        session = next
      }
      return true
    }).pipe(lock.withPermit)
    return isNews ? yield* send(place, question, (yield* current).token) : yield* refusal
  })

  return { name, ask } satisfies HashicorpClient
})
