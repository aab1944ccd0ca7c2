import { Budgets, type Checkpoint, type Page } from "@tributary/connector"
import { Connector } from "@tributary/domain"
import { Tokens } from "@tributary/oauth"
import { Environment, Secrets } from "@tributary/secrets"
import { Leases, TokenStore } from "@tributary/vault"
import { Effect, type Layer, Layer as Layers, Result, Schema, Stream } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expandConnector, openSource } from "../src/index.ts"

const decode = Schema.decodeUnknownSync(Connector)

/** A connector file whose manifest, and whatever else it names, lies in `folder`. */
export interface OpenedFile {
  readonly folder: string
  readonly file: { readonly manifest: string; readonly [setting: string]: unknown }
  readonly variables: Readonly<Record<string, string>>
  /** Where tokens are kept. Default: in memory, for this program only. */
  readonly store?: Layer.Layer<TokenStore>
}

/** What a program of its own reads of a stream: at most `most` pages, after `from`. */
export const readStream = (
  opened: OpenedFile,
  stream: string,
  from?: Checkpoint,
  most = Number.POSITIVE_INFINITY
): Effect.Effect<ReadonlyArray<Page>, unknown> => {
  const { file, folder, store = TokenStore.layerMemory, variables } = opened
  const secrets = Secrets.layer.pipe(Layers.provide(Layers.succeed(Environment, variables)))
  const tokens = Tokens.layer.pipe(Layers.provide([secrets, store, Leases.layerMemory, Budgets.layer]))
  const given = decode(file)
  const expanded = expandConnector(given, readFileSync(join(folder, file.manifest), "utf8"))
  if (Result.isFailure(expanded)) return Effect.fail(expanded.failure)
  return Effect.flatMap(openSource(expanded.success.connector, { base: folder }), (source) =>
    source.pages(stream, from).pipe(Stream.take(most), Stream.runCollect)
  ).pipe(Effect.scoped, Effect.provide(Layers.mergeAll(Budgets.layer, secrets, tokens)))
}

/** The records of pages, as text. */
export const recordsOf = (pages: ReadonlyArray<Page>): ReadonlyArray<string> =>
  pages.flatMap((page) => [...page.records, ...page.rejected].map(({ value }) => Buffer.from(value).toString()))
