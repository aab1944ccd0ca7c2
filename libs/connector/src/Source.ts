import { compileSelector } from "@tributary/codec"
import type { Connector, SourceStream } from "@tributary/domain"
import type { Tokens } from "@tributary/oauth"
import { Secrets, type SecretError } from "@tributary/secrets"
import { Effect, Redacted, type Scope, Stream } from "effect"
import { makeAuthorizer } from "./Authorizer.ts"
import { Budgets } from "./Budgets.ts"
import type { Checkpoint } from "./Checkpoint.ts"
import { openAgent } from "./Exchange.ts"
import type { Page } from "./Page.ts"
import { pagingOf } from "./Paging.ts"
import { readPlan } from "./RecordReader.ts"
import { makeRequester, type RequestSettings } from "./Requester.ts"
import { BadSetting, SourceError, type SourceReason } from "./SourceError.ts"
import { type StreamPlan, walk } from "./Walk.ts"

export interface PagesOptions {
  /** Requests the next page while the current one is worked on: one page ahead, at most two bodies in memory. Default: true. */
  readonly prefetch?: boolean
}

/** A connector that is ready to read. */
export interface Source {
  /**
   * One walk over a stream from where `from` left it: a new walk, or the rest of the one that `from` is in the middle of.
   * Ends after the page with `last`. Each page's checkpoint presumes that all pages before it are committed. Fails with
   * the first error that retries do not mend; what was emitted before stays valid, and the next walk goes on after it. If an
   * unfinished walk cannot be gone on with because the API does not know its position any more, it begins again.
   */
  readonly pages: (
    stream: string,
    from: Checkpoint | undefined,
    options?: PagesOptions
  ) => Stream.Stream<Page, SourceError>
  /** The first pages of a new walk, until they have `records` records or the walk ends. */
  readonly preview: (stream: string, records: number) => Effect.Effect<ReadonlyArray<Page>, SourceError>
}

const reference = /\$\{[^}]*\}/gu
const hasReference = (template: string): boolean => template.search(reference) >= 0

/** A text with its references replaced, and what they stand for. */
interface Resolved {
  readonly text: string
  readonly secrets: ReadonlyArray<string>
}

/**
 * Makes a connector ready: resolves references, opens its connections and gets its token manager. Makes no request. The
 * connections close with the scope. References of headers and queries are resolved again for each walk. Fails when a setting
 * cannot be used.
 */
export const make = Effect.fn("connector.make")(function* (
  connector: Connector,
  options: { readonly base: string }
): Effect.fn.Return<Source, SourceError, Scope.Scope | Secrets | Tokens | Budgets> {
  const secrets = yield* Secrets
  const budgets = yield* Budgets
  const { auth, http } = connector
  const fail = (stream: string | undefined) => (reason: SourceReason) =>
    new SourceError({ connector: connector.connector, stream, reason })

  const resolve = Effect.fnUntraced(function* (
    template: string,
    setting: string
  ): Effect.fn.Return<Resolved, BadSetting> {
    const values: Array<string> = []
    let text = ""
    let end = 0
    for (const { 0: found, index } of template.matchAll(reference)) {
      const secret = yield* secrets
        .secret(found, options.base)
        .pipe(
          Effect.mapError(
            ({ failureClass, message }: SecretError) => new BadSetting({ setting, problem: message, failureClass })
          )
        )
      values.push(Redacted.value(secret))
      text += template.slice(end, index) + Redacted.value(secret)
      end = index + found.length
    }
    return { text: text + template.slice(end), secrets: values }
  })

  const baseAddress = Effect.gen(function* () {
    const setting = "http.base_url"
    const { text } = yield* resolve(http.base_url, setting)
    const shown = !hasReference(http.base_url) ? `, found ${text}` : ""
    if (!URL.canParse(text) || !/^https?:$/u.test(new URL(text).protocol)) {
      return yield* new BadSetting({ setting, problem: `expected an address with https:// or http://${shown}.` })
    }
    const url = new URL(text)
    if (url.username !== "" || url.password !== "") {
      const problem = "the address has a user name or password. Send it as a header, with http.headers."
      return yield* new BadSetting({ setting, problem })
    }
    url.search = ""
    url.hash = ""
    return url.href.replace(/\/$/u, "")
  })

  /** What a walk over the stream sends, with today's secrets. */
  const planOf = Effect.fnUntraced(function* (
    name: string,
    stream: SourceStream
  ): Effect.fn.Return<StreamPlan, SourceReason> {
    const setting = `streams.${name}`
    const hidden: Array<string> = []
    const headers: Record<string, string> = {}
    for (const [header, template] of Object.entries(http.headers)) {
      const value = yield* resolve(template, `http.headers.${header}`)
      headers[header] = value.text
      hidden.push(...value.secrets)
    }
    const path = yield* resolve(stream.path, `${setting}.path`)
    const address = `${yield* baseAddress}${path.text}`
    if (!URL.canParse(address)) {
      return yield* new BadSetting({ setting: `${setting}.path`, problem: "it makes no address with http.base_url." })
    }
    const url = new URL(address)
    const secretParameters = new Map<string, string>()
    for (const [parameter, given] of Object.entries(stream.query)) {
      const value = yield* resolve(String(given), `${setting}.query.${parameter}`)
      url.searchParams.set(parameter, value.text)
      if (value.secrets.length > 0) secretParameters.set(parameter, value.text)
      hidden.push(...value.secrets)
    }
    // Like a parameter of the stream, so that it is taken out of addresses that are kept.
    if (auth !== undefined && "api_key" in auth && auth.query !== undefined) {
      const key = yield* resolve(auth.api_key, "auth.api_key")
      url.searchParams.set(auth.query, key.text)
      secretParameters.set(auth.query, key.text)
      hidden.push(...key.secrets)
    }
    const paging = pagingOf(stream.pagination)
    const start = stream.incremental?.start
    const from = start === undefined ? undefined : yield* resolve(start, `${setting}.incremental.start`)
    const own = stream.incremental === undefined ? [] : [stream.incremental.param]
    const settings: RequestSettings = {
      headers,
      secrets: hidden,
      ownParameters: new Set([...paging.parameters, ...own])
    }
    const read = readPlan(stream, compileSelector(stream.records), paging.values)
    return { name, stream, request: { address: url, secretParameters }, settings, paging, read, start: from?.text }
  })

  const streams = new Map<string, SourceStream>(Object.entries(connector.streams))
  const find = (name: string) => {
    const stream = streams.get(name)
    return stream === undefined
      ? Effect.fail(
          new BadSetting({ setting: `streams.${name}`, problem: "the connector has no stream of this name." })
        )
      : planOf(name, stream)
  }

  for (const name of streams.keys()) yield* Effect.mapError(find(name), fail(name))
  const authorizer =
    auth === undefined
      ? undefined
      : yield* Effect.mapError(makeAuthorizer(connector.connector, auth, options.base), fail(undefined))
  const agent = yield* openAgent(http, authorizer?.tls === undefined ? undefined : Redacted.value(authorizer.tls))
  const requester = makeRequester({ agent, http, budgets, authorizer })

  const pages: Source["pages"] = (stream, from, { prefetch = true } = {}) =>
    Stream.unwrap(Effect.map(find(stream), (plan) => walk(plan, requester, http.retries, from, prefetch))).pipe(
      Stream.mapError(fail(stream))
    )

  return {
    pages,
    preview: (stream, records) => {
      let count = 0
      return pages(stream, undefined, { prefetch: false }).pipe(
        Stream.takeUntil((page) => (count += page.records.length + page.rejected.length) >= records),
        Stream.runCollect
      )
    }
  }
})
