import { Effect } from "effect"
import { str } from "../expression/Repr.ts"
import { dictGet, dictOf } from "../expression/Dict.ts"
import type { Component } from "../component/Component.ts"
import { isAnswer } from "../component/ErrorHandler.ts"
import { noCredentials, prepare } from "../component/Requests.ts"
import { failure, type RunError } from "../component/RunError.ts"
import type { Authenticator } from "./Parts.ts"
import { pure } from "./pure.ts"
import type { Run } from "./Run.ts"

/** A session from the config if it is still good, else one that a login gives: `LegacySessionTokenAuthenticator`. */
export const legacySession = (run: Run, component: Component): Authenticator => {
  const text = (name: string) => run.expressions.text(component.get(name) ?? "", component.parameters)
  // The CDK takes the requester's address, whatever `api_url` says.
  const base = () => text("url_base")
  let held: string | undefined
  const isGood = (token: string): Effect.Effect<boolean, RunError> =>
    Effect.gen(function* () {
      const request = yield* pure(() =>
        prepare("GET", `${base()}${text("validate_session_url")}`, { [text("header")]: token }, {}, {}, {})
      )
      const answer = yield* run.http.send(request, {})
      if (!isAnswer(answer))
        return yield* failure(`Error while validating session token: ${answer.problem}`, "transient_error")
      if (answer.ok) return true
      if (answer.status === 401) return false
      return yield* failure(`Error while validating session token: HTTP ${answer.status}`, "config_error")
    })
  const logIn = Effect.gen(function* () {
    const request = yield* pure(() => {
      const [username, password] = [text("username"), text("password")]
      if (username === "" || password === "") {
        throw failure(
          "Invalid credentials: session token is not valid or provide username and password",
          "config_error"
        )
      }
      const headers = { "Content-Type": "application/json" }
      return prepare("POST", `${base()}${text("login_url")}`, headers, {}, {}, { username, password })
    })
    const answer = yield* run.http.send(request, {})
    if (!isAnswer(answer) || !answer.ok) {
      const why = isAnswer(answer) ? `response code ${answer.status}` : answer.problem
      return yield* failure(`Failed to retrieve new session token, ${why}`, "config_error")
    }
    const body = dictOf(answer.json)
    const found = body === undefined ? undefined : dictGet(body, text("session_token_response_key"))
    if (found === undefined) return yield* failure("The login's answer has no session token", "config_error")
    return str(found)
  })
  return {
    refresh: undefined,
    credentials: Effect.gen(function* () {
      const given = yield* pure(() => text("session_token"))
      if (held === undefined && given !== "" && (yield* isGood(given))) held = given
      held ??= yield* logIn
      const name = yield* pure(() => text("header"))
      return { ...noCredentials, headers: { [name]: held } }
    })
  }
}
