import { type Auth, type Connector, primaryKey, type SourceStream } from "@tributary/domain"
import { type AuthorizationStatus, Tokens } from "@tributary/oauth"
import { Secrets } from "@tributary/secrets"
import { Leases } from "@tributary/vault"
import { Context, Effect, Layer, Option, Redacted, Scope, Stream } from "effect"
import { type Authorizer, makeAuthorizer, offlineAuthenticator } from "./Authorizer.ts"
import { Budgets } from "./Budgets.ts"
import { type CircuitListener, Circuits } from "./Circuits.ts"
import type { Checkpoint } from "./Checkpoint.ts"
import { type Connected, noConnections, openConnections } from "./Connections.ts"
import { loadModule } from "./Module.ts"
import type { Page } from "./Page.ts"
import { PagingWatch } from "./PagingWatch.ts"
import { partitionedWalk } from "./PartitionedWalk.ts"
import { type Resolve, resolver } from "./Resolve.ts"
import type { WalkPlan } from "./SliceWalk.ts"
import type { ConnectorDefinition, RequestDraft, StreamDefinition, StreamSlots } from "./slots/index.ts"
import { connectionFailure, type Unconnected } from "./Exchange.ts"
import { BadSetting, SourceError, type SourceReason } from "./SourceError.ts"
import { type Answer, type JudgedOptions, makeTransport } from "./Transport.ts"
import { makeWaits, type WaitListener } from "./Waits.ts"
import { walk } from "./Walk.ts"
import { Wire } from "./Wire.ts"
import { yamlStreams } from "./YamlStream.ts"

export interface PagesOptions {
  /** Requests the next page while the current one is worked on: one page ahead, at most two bodies in memory. Default: true. */
  readonly prefetch?: boolean
  /**
   * The texts of the checkpoint's snapshots (`partitions.shards` of them), in order; with it, pages have `snapshots` to be kept.
   * Without, the cursors of all partitions stay in the checkpoint.
   */
  readonly snapshots?: ReadonlyArray<string>
  /** Stops a job that is under way when the walk is left: nobody will go on with it. Default: false. */
  readonly stopsJobs?: boolean
}

/** The parts that a stream's first request is made of. Nothing is sent until one of them is run. */
export interface Trial {
  /** Where it goes: the origin alone is sure to be the one of every request. */
  readonly address: URL
  /** Makes a connection and closes it. */
  readonly connect: Effect.Effect<Connected, Unconnected>
  /** Gets what authorizes it, and says how that is; `undefined`: it is not authorized. */
  readonly authorize: Effect.Effect<AuthorizationStatus | undefined, SourceError> | undefined
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
  /** The parts that a stream's first request is made of, to be tried one by one. */
  readonly trial: (stream: string) => Effect.Effect<Trial, SourceError>
  /** The first pages of a new walk, until they have `records` records or the walk ends. */
  readonly preview: (stream: string, records: number) => Effect.Effect<ReadonlyArray<Page>, SourceError>
}

/** What the engine does for streams whose definition needs it: sending requests, and reading streams that only the definition has. */
export interface EngineTools {
  /**
   * Sends one request through the connector's transport: guard, budgets, time limits, proxies, and with `token` its `auth`. An
   * answer of any status is returned, but for a 401 to a token that can be renewed: that is sent once more with the new one.
   */
  readonly send: (draft: RequestDraft, options: JudgedOptions) => Effect.Effect<Answer, SourceReason>
  /** The walk of a stream that is not published, such as the parent of another one. */
  readonly read: (
    name: string,
    stream: StreamDefinition,
    from: Checkpoint | undefined
  ) => Stream.Stream<Page, SourceReason>
  /** Gets a new token in place of the one that there is: of an authorizer, or else of `auth`; nothing without. */
  readonly renew: (authorizer?: Authorizer) => Effect.Effect<void, SourceReason>
  /**
   * The authorizer of an authorization beside the connector's: its `authorization` names it in the vault. Makes no request; it is
   * kept as long as the source is open.
   */
  readonly authorizer: (auth: Auth) => Effect.Effect<Authorizer, SourceReason>
  readonly resolve: Resolve
}

export interface MakeOptions {
  /** Folder that file references are relative to. */
  readonly base: string
  /**
   * The streams' slots in code, as from a manifest. Default: those of `module`, else those that the connector's settings describe. Streams
   * that only the definition has are not read: what is published and loaded is the connector's to say.
   */
  readonly definition?: ConnectorDefinition | ((tools: EngineTools) => ConnectorDefinition)
  /** Told when requests to a host of the connector are stopped because it failed too often, and when they go on. */
  readonly circuit?: CircuitListener
  /** Told when requests wait for long because the API asked for it, and when none does any more; by the key of their budget. */
  readonly waiting?: WaitListener
  /**
   * Told at the end of a walk when answers that look full had none of what the stream's `pagination` names, with a sentence, and,
   * with `undefined`, when it is known to be right.
   */
  readonly paging?: (stream: string, problem: string | undefined) => Effect.Effect<void>
}

/** Leases among the streams of one connector, where the engine has none. */
const ownLeases = Effect.map(Layer.build(Leases.layerMemory), Context.get(Leases))

/**
 * Makes a connector ready: opens its connections and gets its token manager. Makes no request. The connections close with the
 * scope. References of headers and queries are resolved again for each walk. Fails when a setting cannot be used.
 */
export const make = Effect.fn("connector.make")(function* (
  connector: Connector,
  { base, circuit, definition, paging, waiting }: MakeOptions
): Effect.fn.Return<Source, SourceError, Scope.Scope | Secrets | Tokens | Budgets> {
  const secrets = yield* Secrets
  const budgets = yield* Budgets
  const wire = yield* Wire
  const context = Context.pick(Tokens, Secrets, Scope.Scope)(yield* Effect.context<Tokens | Secrets | Scope.Scope>())
  const leases = Option.getOrUndefined(yield* Effect.serviceOption(Leases)) ?? (yield* ownLeases)
  const { auth, http } = connector
  const fail = (stream: string | undefined) => (reason: SourceReason) =>
    new SourceError({ connector: connector.connector, stream, reason })

  /** A parent's walk keeps all of its position in one value, so it has no snapshots. */
  const readParent = (stream: string, from: Checkpoint | undefined): Stream.Stream<Page, SourceReason> =>
    Stream.suspend(() => reading(stream, from, { prefetch: true }))
  const planOf = (name: string, slots: StreamSlots, stream: SourceStream | undefined): Omit<WalkPlan, "stopsJobs"> => ({
    name,
    slots,
    key: stream === undefined ? [] : primaryKey(stream),
    retries: http.retries,
    maxPages: http.max_pages,
    concurrency: stream?.concurrency ?? 1,
    leases,
    limits: http
  })
  const tools: EngineTools = {
    send: (draft, options) => transport.exchange(draft, options),
    read: (name, stream, from) =>
      Stream.unwrap(
        Effect.map(stream.open, (slots) => walkOf({ ...planOf(name, slots, undefined), stopsJobs: false }, from))
      ),
    renew: (authorizer = authenticator) =>
      authorizer === undefined
        ? Effect.void
        : Effect.flatMap(
            authorizer.authorize("GET", new URL(http.base_url ?? "https://localhost")),
            (authorized) => authorized.rejected
          ),
    authorizer: (own) =>
      wire.isOffline
        ? Effect.succeed(offlineAuthenticator)
        : Effect.provideContext(makeAuthorizer(connector.connector, own, base), context),
    resolve: resolver(secrets, base)
  }
  const inCode =
    (typeof definition === "function" ? definition(tools) : definition) ??
    (connector.module === undefined
      ? undefined
      : yield* Effect.mapError(loadModule(connector.module, connector, base, resolver(secrets, base)), fail(undefined)))
  const definitions = new Map(Object.entries(inCode?.streams ?? yamlStreams(connector, base, secrets, readParent)))
  const streams = new Map(Object.entries(connector.streams))
  const open = (name: string) => {
    const stream = streams.get(name)
    const found = definitions.get(name)
    if (stream?.webhook !== undefined) {
      const problem = "the stream is sent (webhook), so there is nothing to ask for."
      return Effect.fail(new BadSetting({ setting: `streams.${name}`, problem }))
    }
    if (stream !== undefined && found !== undefined) {
      return Effect.map(found.open, (slots) => planOf(name, slots, stream))
    }
    const problem =
      stream === undefined ? "the connector has no stream of this name." : "the definition has no stream of this name."
    return Effect.fail(new BadSetting({ setting: `streams.${name}`, problem }))
  }

  const authenticator =
    auth === undefined
      ? undefined
      : wire.isOffline
        ? offlineAuthenticator
        : yield* Effect.mapError(makeAuthorizer(connector.connector, auth, base), fail(undefined))
  const certificate = authenticator?.tls === undefined ? undefined : Redacted.value(authenticator.tls)
  const connections = wire.isOffline
    ? noConnections
    : yield* Effect.mapError(openConnections(http, secrets, base, certificate), fail(undefined))
  const { rate_limit: _, ...unlimited } = http
  const kept = wire.isOffline ? unlimited : http
  const circuits = yield* Circuits
  const scope = yield* Effect.scope
  const hosts = new Set<string>()
  /** Addresses may have references, and streams addresses of their own, so hosts are known when they are asked. */
  const meets = (host: string): Effect.Effect<void> => {
    if (circuit === undefined || hosts.has(host)) return Effect.void
    hosts.add(host)
    return Effect.flatMap(circuits.listen(host, circuit), (stop) =>
      Scope.addFinalizer(scope, Effect.andThen(stop, circuit(host, undefined)))
    )
  }
  const transport = makeTransport({
    connections,
    http: kept,
    budgets,
    authenticator,
    circuits,
    meets,
    waits: makeWaits(waiting),
    wire
  })
  for (const [name, { webhook }] of streams) {
    if (webhook === undefined) yield* Effect.scoped(Effect.mapError(open(name), fail(name)))
  }

  const walkOf = (
    plan: WalkPlan,
    from: Checkpoint | undefined,
    snapshots?: ReadonlyArray<string>,
    prefetch = true
  ): Stream.Stream<Page, SourceReason> => {
    const { router } = plan.slots
    return router === undefined
      ? walk(plan, transport, from, prefetch)
      : partitionedWalk(plan, router, transport, from, snapshots, prefetch)
  }
  /** What is known of the paging of each stream, over all its walks. */
  const watches = new Map<string, PagingWatch>()
  const watchOf = (stream: string, { slots }: Pick<WalkPlan, "slots">): PagingWatch => {
    const watch = watches.get(stream) ?? new PagingWatch(slots.retriever === undefined ? slots.paginator : undefined)
    watches.set(stream, watch)
    return watch
  }
  const reading = (
    stream: string,
    from: Checkpoint | undefined,
    { prefetch = true, snapshots, stopsJobs = false }: PagesOptions,
    tell?: typeof paging
  ): Stream.Stream<Page, SourceReason> =>
    Stream.unwrap(
      Effect.map(open(stream), (plan) => {
        if (tell === undefined) return walkOf({ ...plan, stopsJobs }, from, snapshots, prefetch)
        const watch = watchOf(stream, plan)
        const said = Effect.suspend(() => {
          const { verdict } = watch
          return verdict === undefined ? Effect.void : tell(stream, verdict ?? undefined)
        })
        return walkOf({ ...plan, stopsJobs, watch }, from, snapshots, prefetch).pipe(Stream.onEnd(said))
      })
    )
  const pages: Source["pages"] = (stream, from, options = {}) =>
    reading(stream, from, options, paging).pipe(Stream.mapError(fail(stream)))

  const trial: Source["trial"] = Effect.fnUntraced(function* (stream) {
    const { slots } = yield* Effect.mapError(open(stream), fail(stream))
    const draft =
      slots.retriever === undefined
        ? slots.requester.draft({ partition: undefined, interval: {} })
        : Effect.map(slots.retriever.address, (url) => ({ method: "GET", url }))
    const { method, url } = yield* Effect.mapError(draft, fail(stream))
    const authorizer = slots.authenticator ?? authenticator
    return {
      address: url,
      connect: Effect.mapError(connections.connect(url), ({ cause }) => connectionFailure(cause, url.origin, http)),
      authorize:
        authorizer === undefined
          ? undefined
          : authorizer.authorize(method, url).pipe(Effect.andThen(authorizer.status), Effect.mapError(fail(stream)))
    }
  }, Effect.scoped)

  return {
    pages,
    trial,
    preview: (stream, records) => {
      let count = 0
      return pages(stream, undefined, { prefetch: false, stopsJobs: true }).pipe(
        Stream.takeUntil((page) => (count += page.records.length + page.rejected.length) >= records),
        Stream.runCollect
      )
    }
  }
})
