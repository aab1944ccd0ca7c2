import { Budgets, Checkpoint, type Page, type Source, type SourceError } from "@tributary/connector"
import { Tokens } from "@tributary/oauth"
import { Environment, Secrets } from "@tributary/secrets"
import { Leases, TokenStore } from "@tributary/vault"
import { Effect, Layer, Logger, Result, Schema, Stream } from "effect"
import type { Wrong } from "./Case.ts"
import { environment, faultsOf } from "./Messages.ts"

const secrets = Secrets.layer.pipe(Layer.provide(Layer.succeed(Environment, environment)))
const tokens = Tokens.layer.pipe(Layer.provide([secrets, TokenStore.layerMemory, Leases.layerMemory, Budgets.layer]))
/** What a source needs, with the secrets of cases. */
export const services = Layer.mergeAll(Budgets.layer, secrets, tokens, Logger.layer([]))

/** So much of a walk is read. */
const mostPages = 60
const mostBytes = 48 * 1_048_576
/** Pages of a walk that are looked at record by record, and their records. */
const lookedAt = 30

/** A checkpoint as it is kept. */
export const roundTrip = Schema.toCodecJson(Checkpoint)

const isJson = (bytes: Uint8Array): boolean => {
  try {
    JSON.parse(new TextDecoder("utf8", { fatal: true }).decode(bytes))
    return true
  } catch {
    return false
  }
}

/** What is wrong with a page. */
const pageFaults = (page: Page): ReadonlyArray<Wrong> => {
  const wrong: Array<Wrong> = []
  for (const { value } of page.records.slice(0, lookedAt)) {
    if (!isJson(value))
      wrong.push({ name: "a record is not JSON", detail: Buffer.from(value).toString("latin1").slice(0, 300) })
  }
  return wrong
}

/** What is wrong with an error of the engine. */
const errorFaults = (error: SourceError, connector: string, name: string, file: string): ReadonlyArray<Wrong> => {
  const { message, reason } = error
  // What a manifest's component says quotes the manifest.
  const quoted = "found" in reason ? reason.found : reason._tag === "Decided" && reason.url === "" ? file : ""
  const wrong = [...faultsOf(message, quoted)]
  const place = `${connector}/${name}: `
  if (!message.startsWith(place))
    wrong.push({ name: "an error does not name its stream", detail: message.slice(0, 300) })
  // What a manifest's component says names the component.
  if (reason._tag === "Decided" && reason.url === "") return wrong
  const where =
    "url" in reason ? reason.url : "setting" in reason ? reason.setting : "problem" in reason ? reason.problem : ""
  if (where === "" || !message.includes(where)) {
    wrong.push({ name: `an error ${reason._tag} does not name its place`, detail: message.slice(0, 300) })
  }
  // Other reasons are one sentence with all in it.
  if ("url" in reason && message.length < place.length + where.length + 5) {
    wrong.push({ name: `an error ${reason._tag} does not say what was found`, detail: message.slice(0, 300) })
  }
  return wrong
}

/** Reads one walk, and what it left to read, from its position on. `file` is what errors may quote. */
export const readStream = Effect.fnUntraced(function* (
  source: Source,
  name: string,
  wrong: Array<Wrong>,
  file: string
) {
  let from: Checkpoint | undefined
  let word = "read"
  for (let walk = 0; walk < 2; walk++) {
    let pages = 0
    let bytes = 0
    let last: Page | undefined
    const result = yield* source.pages(name, from).pipe(
      Stream.takeUntil((page) => ++pages >= mostPages || (bytes += page.bytes) > mostBytes),
      Stream.runForEach((page) =>
        Effect.sync(() => {
          last = page
          if (pages <= lookedAt) wrong.push(...pageFaults(page))
        })
      ),
      Effect.result
    )
    if (Result.isFailure(result)) {
      wrong.push(...errorFaults(result.failure, result.failure.connector, name, file))
      word = result.failure.reason._tag
    }
    if (last === undefined) break
    const text = JSON.stringify(yield* Schema.encodeEffect(roundTrip)(last.checkpoint))
    if (text.length > 2_000_000) wrong.push({ name: "a position is too large", detail: `${text.length} characters` })
    from = yield* Schema.decodeUnknownEffect(roundTrip)(JSON.parse(text))
  }
  return word
})
