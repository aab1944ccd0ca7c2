import { type Connector, primaryKey } from "@tributary/domain"
import type { Tokens } from "@tributary/oauth"
import { Secrets } from "@tributary/secrets"
import { Effect, Redacted, type Scope, Stream } from "effect"
import { makeAuthorizer } from "./Authorizer.ts"
import { Budgets } from "./Budgets.ts"
import type { Checkpoint } from "./Checkpoint.ts"
import { openConnections } from "./Connections.ts"
import { loadModule } from "./Module.ts"
import type { Page } from "./Page.ts"
import { partitionedWalk } from "./PartitionedWalk.ts"
import { resolver } from "./Resolve.ts"
import type { ConnectorDefinition } from "./slots/index.ts"
import { BadSetting, SourceError, type SourceReason } from "./SourceError.ts"
import { makeTransport } from "./Transport.ts"
import { walk } from "./Walk.ts"
import { yamlStreams } from "./YamlStream.ts"

export interface PagesOptions {
  /** Requests the next page while the current one is worked on: one page ahead, at most two bodies in memory. Default: true. */
  readonly prefetch?: boolean
  /**
   * The texts of the checkpoint's snapshots (`partitions.shards` of them), in order; with it, pages have `snapshots` to be kept.
   * Without, the cursors of all partitions stay in the checkpoint.
   */
  readonly snapshots?: ReadonlyArray<string>
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

export interface MakeOptions {
  /** Folder that file references are relative to. */
  readonly base: string
  /**
   * The streams' slots in code, as from a manifest. Default: those of `module`, else those that the connector's settings describe. Streams
   * that only the definition has are not read: what is published and loaded is the connector's to say.
   */
  readonly definition?: ConnectorDefinition
}

/**
 * Makes a connector ready: opens its connections and gets its token manager. Makes no request. The connections close with the
 * scope. References of headers and queries are resolved again for each walk. Fails when a setting cannot be used.
 */
export const make = Effect.fn("connector.make")(function* (
  connector: Connector,
  { base, definition }: MakeOptions
): Effect.fn.Return<Source, SourceError, Scope.Scope | Secrets | Tokens | Budgets> {
  const secrets = yield* Secrets
  const budgets = yield* Budgets
  const { auth, http } = connector
  const fail = (stream: string | undefined) => (reason: SourceReason) =>
    new SourceError({ connector: connector.connector, stream, reason })

  /** A parent's walk keeps all of its position in one value, so it has no snapshots. */
  const readParent = (stream: string, from: Checkpoint | undefined): Stream.Stream<Page, SourceReason> =>
    Stream.suspend(() => reading(stream, from, undefined, true))
  const inCode =
    definition ??
    (connector.module === undefined
      ? undefined
      : yield* Effect.mapError(loadModule(connector.module, connector, base, resolver(secrets, base)), fail(undefined)))
  const definitions = new Map(Object.entries(inCode?.streams ?? yamlStreams(connector, base, secrets, readParent)))
  const streams = new Map(Object.entries(connector.streams))
  const open = (name: string) => {
    const stream = streams.get(name)
    const found = definitions.get(name)
    if (stream !== undefined && found !== undefined) {
      return Effect.map(found.open, (slots) => ({
        name,
        slots,
        key: primaryKey(stream),
        retries: http.retries,
        maxPages: http.max_pages,
        concurrency: stream.concurrency,
        limits: http
      }))
    }
    const problem =
      stream === undefined ? "the connector has no stream of this name." : "the definition has no stream of this name."
    return Effect.fail(new BadSetting({ setting: `streams.${name}`, problem }))
  }

  for (const name of streams.keys()) yield* Effect.scoped(Effect.mapError(open(name), fail(name)))
  const authenticator =
    auth === undefined
      ? undefined
      : yield* Effect.mapError(makeAuthorizer(connector.connector, auth, base), fail(undefined))
  const certificate = authenticator?.tls === undefined ? undefined : Redacted.value(authenticator.tls)
  const connections = yield* Effect.mapError(openConnections(http, secrets, base, certificate), fail(undefined))
  const transport = makeTransport({ connections, http, budgets, authenticator })

  const reading = (
    stream: string,
    from: Checkpoint | undefined,
    snapshots: ReadonlyArray<string> | undefined,
    prefetch: boolean
  ): Stream.Stream<Page, SourceReason> =>
    Stream.unwrap(
      Effect.map(open(stream), (plan) => {
        const { router } = plan.slots
        return router === undefined
          ? walk(plan, transport, from, prefetch)
          : partitionedWalk(plan, router, transport, from, snapshots, prefetch)
      })
    )
  const pages: Source["pages"] = (stream, from, { prefetch = true, snapshots } = {}) =>
    reading(stream, from, snapshots, prefetch).pipe(Stream.mapError(fail(stream)))

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
