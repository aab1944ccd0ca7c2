import { type Answer, type Authorizer, Decided, type EngineTools, type SourceReason } from "@tributary/connector"
import { Effect } from "effect"
import type { Component } from "../component/Component.ts"
import type { NoAnswer } from "../component/ErrorHandler.ts"
import type { Expressions } from "../component/Expressions.ts"
import { noCredentials, type PreparedRequest } from "../component/Requests.ts"
import { Response } from "../component/Response.ts"
import { failure, RunError } from "../component/RunError.ts"
import { dictEntries, dictOf } from "../expression/Dict.ts"
import { str } from "../expression/Repr.ts"
import type { ManifestHttp } from "../run/ManifestHttp.ts"
import type { Authenticator } from "../run/Parts.ts"
import { pure } from "../run/pure.ts"

/** Shorter ones would take ordinary letters out of a text. */
const shortestSecret = 4

/** Takes the secrets of a config out of a text. */
export const hideIn = (text: string, secrets: ReadonlyArray<string>): string => {
  let shown = text
  for (const secret of secrets) {
    if (secret.length < shortestSecret) continue
    shown = shown.replaceAll(secret, "****").replaceAll(encodeURIComponent(secret), "****")
  }
  return shown
}

/** A failure of the engine as one of the run, with what is to be done about it. */
export const runErrorOf = (reason: SourceReason): RunError => {
  const retryAfter = reason._tag === "NoToken" ? reason.retryAfter : undefined
  return new RunError({
    problem: reason.message,
    failureType: reason.failureClass === "transient" ? "transient_error" : "config_error",
    stated: reason.failureClass,
    ...(retryAfter === undefined ? {} : { retryAfter })
  })
}

/** A failure of the run as one of the engine. */
export const reasonOf = (error: RunError, secrets: ReadonlyArray<string>): SourceReason =>
  new Decided({
    url: "",
    status: error.status ?? 0,
    action: "fail",
    // A terminal must not obey what a manifest or an API brings into a message.
    message: hideIn(error.message, secrets).replaceAll(/[^\P{C}\n]/gu, "\u{fffd}"),
    failureClass: error.failureClass,
    wait: error.retryAfter
  })

const pairsOf = ({ headers, sentHeaders = [] }: Answer): Array<readonly [string, string]> => {
  const pairs: Array<readonly [string, string]> = []
  if (sentHeaders.length > 0) {
    for (let index = 0; index + 1 < sentHeaders.length; index += 2) {
      pairs.push([sentHeaders[index] ?? "", sentHeaders[index + 1] ?? ""])
    }
    return pairs
  }
  for (const [name, value] of Object.entries(headers)) {
    for (const one of typeof value === "string" ? [value] : (value ?? [])) pairs.push([name, one])
  }
  return pairs
}

/**
 * Carries a manifest's requests through the engine's transport: its address guard, budgets, time limits and proxies. `secrets` must
 * never be shown.
 */
export const engineHttp = (tools: EngineTools, secrets: ReadonlyArray<string>): ManifestHttp["Service"] => ({
  send: Effect.fnUntraced(function* (request: PreparedRequest): Effect.fn.Return<Response | NoAnswer, RunError> {
    if (!URL.canParse(request.url)) {
      return yield* failure(
        `The address ${hideIn(request.url.replace(/\?.*$/su, ""), secrets)} is none; expected one that begins with https:// or http://. Check url_base and path of the requester.`,
        "config_error"
      )
    }
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value])
    )
    const sent = yield* Effect.result(
      tools.send(
        {
          method: request.method,
          url: new URL(request.url),
          headers,
          body:
            request.body === undefined
              ? undefined
              : { _tag: "Text", text: request.body, contentType: headers["content-type"] ?? "text/plain" }
        },
        { token: request.token, secrets }
      )
    )
    if (sent._tag === "Failure") {
      const reason = sent.failure
      // What may pass is for the manifest's error handler, as with any client.
      if (reason.failureClass !== "transient" || reason._tag === "NoToken") return yield* runErrorOf(reason)
      return { problem: reason.message }
    }
    const answer = sent.success
    return new Response(answer.status, pairsOf(answer), answer.body, answer.target.href, {
      url: request.url,
      method: request.method,
      headers: { ...request.headers },
      body: request.body ?? null
    })
  })
})

/**
 * An authorization of the token layer as an authenticator of a manifest: put on when a request is sent. Of an `OAuthAuthenticator` it
 * takes the header and what goes with the token. `authorizer`: whose it is, in place of the connector's.
 */
export const engineAuthenticator = (
  tools: EngineTools,
  expressions: Expressions,
  component: Component,
  authorizer?: Authorizer
): Authenticator => {
  const isOwn = component.type === "OAuthAuthenticator"
  const sentAs = isOwn ? component.child("access_token_header") : undefined
  const token = {
    name: sentAs?.optionalText("name") ?? "Authorization",
    prefix: sentAs?.optionalText("prefix") ?? "Bearer",
    authorizer
  }
  const more = isOwn ? dictOf(component.get("request_headers")) : undefined
  const plain = Object.fromEntries((more === undefined ? [] : dictEntries(more)).map(([key, item]) => [str(key), item]))
  return {
    credentials: pure(() => {
      const headers = expressions.mapping(plain, component.parameters).map(([key, item]) => [str(key), str(item)])
      return { ...noCredentials, headers: Object.fromEntries(headers), token }
    }),
    refresh: () => Effect.mapError(tools.renew(authorizer), runErrorOf)
  }
}
