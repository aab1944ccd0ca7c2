import type { Connector, SourceStream } from "@tributary/domain"
import type { Secrets, SecretError } from "@tributary/secrets"
import { Effect, Redacted } from "effect"
import { jsonExtractor } from "./JsonExtractor.ts"
import { markCursor } from "./MarkCursor.ts"
import { paginatorOf } from "./Paginators.ts"
import type { Requester, StreamDefinition, StreamSlots } from "./slots/index.ts"
import { BadSetting, type SourceReason } from "./SourceError.ts"

const reference = /\$\{[^}]*\}/gu
const hasReference = (template: string): boolean => template.search(reference) >= 0

/** A text with its references replaced, and what they stand for. */
interface Resolved {
  readonly text: string
  readonly secrets: ReadonlyArray<string>
}

/** The streams of a connector file, one built-in per setting and slot. References are resolved anew for each walk. */
export const yamlStreams = (
  connector: Connector,
  base: string,
  secrets: Secrets["Service"]
): Readonly<Record<string, StreamDefinition>> => {
  const { auth, http } = connector

  const resolve = Effect.fnUntraced(function* (
    template: string,
    setting: string
  ): Effect.fn.Return<Resolved, BadSetting> {
    const values: Array<string> = []
    let text = ""
    let end = 0
    for (const { 0: found, index } of template.matchAll(reference)) {
      const secret = yield* secrets
        .secret(found, base)
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

  const requesterOf = Effect.fnUntraced(function* (
    setting: string,
    stream: SourceStream
  ): Effect.fn.Return<Requester, BadSetting> {
    const hidden: Array<string> = []
    const headers: Record<string, string> = {}
    for (const [header, template] of Object.entries(http.headers)) {
      const value = yield* resolve(template, `http.headers.${header}`)
      headers[header.toLowerCase()] = value.text
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
    return {
      draft: () => Effect.succeed({ method: "GET", url: new URL(url), headers: { ...headers }, body: undefined }),
      secretParameters,
      secrets: hidden
    }
  })

  const open = Effect.fnUntraced(function* (
    name: string,
    stream: SourceStream
  ): Effect.fn.Return<StreamSlots, SourceReason> {
    const setting = `streams.${name}`
    const requester = yield* requesterOf(setting, stream)
    const { incremental } = stream
    const start = incremental?.start
    const from = start === undefined ? undefined : yield* resolve(start, `${setting}.incremental.start`)
    return {
      requester,
      extractor: jsonExtractor(stream.records),
      paginator: paginatorOf(stream.pagination),
      cursor: incremental === undefined ? undefined : markCursor(incremental, `${setting}.incremental`, from?.text)
    }
  })

  return Object.fromEntries(
    Object.entries(connector.streams).map(([name, stream]) => [name, { open: open(name, stream) }])
  )
}
