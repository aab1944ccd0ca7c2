// One reader of `bench:engine` in its own process: `reader.ts NAME URL TOKEN_URL`. Prints how many records it read, in how many seconds
// (from its first request on) and with how much processor time.
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { engine } from "@tributary/cli"
import { Budgets, make } from "@tributary/connector"
import { parseConnector, rawTopic } from "@tributary/domain"
import { Log } from "@tributary/log"
import { Tokens } from "@tributary/oauth"
import { Secrets } from "@tributary/secrets"
import { runSource } from "@tributary/source"
import { Leases, TokenStore } from "@tributary/vault"
import { Effect, Layer, Result, Stream } from "effect"
import { request } from "undici"
import { platform } from "./chain.ts"
import { fetchToken, rawDownload, type RawPage } from "./raw.ts"
import { connectorText } from "./synthetic.ts"

const [name = "", url = "", tokenUrl = ""] = process.argv.slice(2)
const api = { url, tokenUrl, stop: async () => {} }

/** As `rawDownload`, but the next page is asked for before this one is parsed: its cursor is cut out of the text. */
const bareAhead = async (): Promise<number> => {
  const authorization = `Bearer ${await fetchToken(api)}`
  const ask = async (cursor: string | undefined): Promise<string> => {
    const answer = await request(
      `${url}/records${cursor === undefined ? "" : `?cursor=${encodeURIComponent(cursor)}`}`,
      { headers: { authorization } }
    )
    return answer.body.text()
  }
  let records = 0
  for (let asked: Promise<string> | undefined = ask(undefined); asked !== undefined;) {
    const text: string = await asked
    const cursor = /"next":"(?<cursor>[^"]*)","links"/u.exec(text.slice(-400))?.groups?.["cursor"]
    asked = cursor === undefined ? undefined : ask(cursor)
    const page: RawPage = JSON.parse(text)
    records += page.data.length
  }
  return records
}

let started = performance.now()
let before = process.cpuUsage()
/** Counts from here on: what opens a store or loads a program is not reading. */
const begin = () => {
  started = performance.now()
  before = process.cpuUsage()
}

const connector = () => Result.getOrThrow(parseConnector(connectorText(api, false), "bench.yaml")).connector

const secrets = Secrets.layer
const tokens = Tokens.layer.pipe(Layer.provide([secrets, TokenStore.layerMemory, Leases.layerMemory, Budgets.layer]))
const services = Layer.mergeAll(Budgets.layer, secrets, tokens)

/** Reads all pages and drops them. */
const drained = (prefetch: boolean): Promise<number> =>
  Effect.runPromise(
    Effect.gen(function* () {
      const source = yield* make(connector(), { base: import.meta.dirname })
      let records = 0
      yield* source.pages("records", undefined, { prefetch }).pipe(
        Stream.runForEach((page) =>
          Effect.sync(() => {
            records += page.records.length
          })
        )
      )
      return records
    }).pipe(Effect.scoped, Effect.provide(services))
  )

/** What the product does with a stream that no sink loads. */
const logged = async (): Promise<number> => {
  const folder = mkdtempSync(join(tmpdir(), "tributary-bench-"))
  const work = Effect.gen(function* () {
    const log = yield* Log
    begin()
    yield* runSource(connector(), folder, { once: true })
    const [offsets] = yield* log.offsets(rawTopic("bench", "records"))
    return offsets?.end ?? 0
  })
  return Effect.runPromise(Effect.provide(work, engine(folder).pipe(Layer.provideMerge(platform)))).finally(() =>
    rmSync(folder, { recursive: true, force: true })
  )
}

const readers: Readonly<Record<string, () => Promise<number>>> = {
  bare: () => rawDownload(api, () => {}),
  "bare-ahead": bareAhead,
  engine: () => drained(false),
  "engine-ahead": () => drained(true),
  "engine-log": logged
}

const read = readers[name]
if (read === undefined) throw new Error(`there is no reader ${name}`)
begin()
const records = await read()
const seconds = (performance.now() - started) / 1000
const { system, user } = process.cpuUsage(before)
process.stdout.write(`${JSON.stringify({ records, seconds, cpu: (system + user) / 1e6 })}\n`)
