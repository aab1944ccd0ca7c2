import { capturing, type SourceError, type SourceReason, Wire } from "@tributary/connector"
import { primaryKey, streamOf } from "@tributary/domain"
import { Secrets } from "@tributary/secrets"
import { TokenStore } from "@tributary/vault"
import { DateTime, Effect, Option, Result, Schema, Stream } from "effect"
import { choose, type Choice, type SentStream } from "./Chosen.ts"
import type { LoadedConnector } from "./ConnectorFiles.ts"
import { makeImpatient, outcomeOf } from "./FirstPage.ts"
import { bytes, count, printable } from "./Format.ts"
import { pagingWarnings } from "./PagingWarnings.ts"
import { Screen } from "./Screen.ts"

export interface CheckOptions extends Choice {
  readonly json: boolean
}

/** What was found at one step. `empty`: there is nothing to look at, which is no failure. */
type Verdict = "ok" | "empty" | "warning" | "failed" | "skipped"

interface Finding {
  /** `undefined`: of the connector as a whole. */
  readonly stream: string | undefined
  readonly step: string
  readonly verdict: Verdict
  /** One sentence. */
  readonly said: string
}

/** A connector would not run as it is; why has been printed. */
export class CheckFailed extends Schema.TaggedError<CheckFailed>()("CheckFailed", {
  connector: Schema.String,
  failed: Schema.Natural
}) {
  readonly failureClass = "misconfigured" as const
  override get message(): string {
    return `${this.connector} did not pass: ${count(this.failed)} step(s) failed.`
  }
}

/** Pages that are looked through for a first record; of a stream in partitions, so many of their pages. */
const mostPages = 10

/** An answer as it came by. */
interface Seen {
  readonly method: string
  readonly url: string
  readonly status: number
  readonly bytes: number | undefined
}

/** At which step an error shows up that a first page ends with. */
const stepOf = ({ _tag }: SourceReason): string => {
  switch (_tag) {
    case "NoToken":
      return "token"
    case "Forbidden":
      return "scopes"
    case "NotJson":
    case "NoRecords":
    case "ErrorBody":
    case "BadRecords":
    case "BadCharset":
      return "records"
    case "NoNextPage":
    case "ForeignUrl":
    case "CursorRepeated":
      return "next page"
    default:
      return "first page"
  }
}

const isoOf = (millis: number): string => DateTime.formatIso(DateTime.makeUnsafe(millis))

const nowhere = { proxy: undefined, address: undefined, tls: undefined }

/** Whether addresses can be reached, each origin once. */
const reached = Effect.fnUntraced(function* (
  loaded: LoadedConnector,
  streams: ReadonlyArray<string>,
  note: (finding: Finding) => Effect.Effect<void>
) {
  const source = yield* makeImpatient(loaded)
  const asked = new Map<string, boolean>()
  const usable = new Set<string>()
  for (const stream of streams) {
    const trial = yield* Effect.result(source.trial(stream))
    if (Result.isFailure(trial)) {
      yield* note({ stream, step: "settings", verdict: "failed", said: trial.failure.message })
      continue
    }
    const { address, connect } = trial.success
    const known = asked.get(address.origin)
    if (known === undefined) {
      const made = yield* Effect.result(connect)
      asked.set(address.origin, Result.isSuccess(made))
      const of = (step: string, verdict: Verdict, said: string) => note({ stream: undefined, step, verdict, said })
      if (Result.isFailure(made)) {
        const { at, reason } = made.failure
        if (at !== "address") yield* of("address", "ok", `${address.hostname} resolves`)
        if (at === "tls") yield* of("connection", "ok", `something listens at ${address.host}`)
        yield* of(at, "failed", reason.message)
      }
      const { address: ip, proxy, tls } = Result.getOrElse(made, () => nowhere)
      if (proxy !== undefined) {
        yield* of("address", "skipped", `requests to ${address.host} go through the proxy ${proxy}, which resolves it`)
      } else if (ip !== undefined) {
        yield* of("address", "ok", `${address.hostname} resolves to ${ip}`)
        yield* of("connection", "ok", `something listens at ${address.host}`)
        yield* tls === undefined
          ? of("tls", "warning", `${address.origin} is not encrypted: tokens and records can be read on the way`)
          : of("tls", "ok", `${tls.version}, the certificate is good until ${tls.validTo}`)
      }
    }
    if (asked.get(address.origin) === true) usable.add(stream)
    else yield* note({ stream, step: "first page", verdict: "skipped", said: `${address.origin} cannot be reached` })
  }
  return { source, usable }
})

/** Whether the secrets that deliveries of a stream are signed with can be read; nothing is asked for. */
const received = Effect.fnUntraced(function* (
  { base }: LoadedConnector,
  { path, stream, webhook }: SentStream,
  note: (finding: Finding) => Effect.Effect<void>
) {
  const secrets = yield* Secrets
  const of = (verdict: Verdict, said: string) => note({ stream, step: "webhook", verdict, said })
  const tokens = webhook.verify_token === undefined ? [] : [webhook.verify_token]
  for (const reference of [webhook.secret, ...webhook.other_secrets, ...tokens]) {
    const read = yield* Effect.result(secrets.secret(reference, base))
    if (Result.isFailure(read)) return yield* of("failed", read.failure.message)
  }
  yield* of("ok", `the secrets are there; \`tributary run\` and \`dev\` take deliveries at ${path}`)
})

/** The token, and what it is good for. */
const authorized = Effect.fnUntraced(function* (
  { connector }: LoadedConnector,
  authorize: Effect.Effect<
    { readonly expiresAt: number | undefined; readonly authorization: string } | undefined,
    SourceError
  >,
  note: (finding: Finding) => Effect.Effect<void>
) {
  const of = (step: string, verdict: Verdict, said: string) => note({ stream: undefined, step, verdict, said })
  const got = yield* Effect.result(authorize)
  if (Result.isFailure(got)) {
    yield* of("token", "failed", got.failure.message)
    return false
  }
  const status = got.success
  if (status === undefined) {
    yield* of("token", "ok", "the credentials are there; no server issues any")
    return true
  }
  const until = status.expiresAt === undefined ? "until it is refused" : `until ${isoOf(status.expiresAt)}`
  yield* of("token", "ok", `there is one, good ${until}`)
  const { auth } = connector
  const asked = auth !== undefined && "oauth2" in auth ? auth.scopes : []
  if (asked.length === 0) {
    yield* of("scopes", "ok", "the connector asks for none by name")
    return true
  }
  const store = yield* TokenStore
  const stored = yield* Effect.result(store.load(status.authorization))
  const granted = Result.isSuccess(stored) ? Option.getOrUndefined(stored.success)?.scopes : undefined
  const missing = granted === undefined ? [] : asked.filter((scope) => !granted.includes(scope))
  yield* granted === undefined
    ? of("scopes", "ok", `asked for ${asked.join(", ")}; the first page tells whether they are enough`)
    : missing.length === 0
      ? of("scopes", "ok", `granted as asked for: ${asked.join(", ")}`)
      : of("scopes", "warning", `asked for ${missing.join(", ")}, which the server did not grant by this name`)
  return true
})

/** Looks for a first record of a stream, and at what it would become. */
const firstRecord = Effect.fnUntraced(function* (
  loaded: LoadedConnector,
  stream: string,
  note: (finding: Finding) => Effect.Effect<void>
) {
  const of = (step: string, verdict: Verdict, said: string) => note({ stream, step, verdict, said })
  const settings = streamOf(loaded.connector, stream)
  const seen: Array<Seen> = []
  const { last: answer, wire } = capturing(yield* Wire)
  const watching = {
    ...wire,
    send: (...[carried, connections]: Parameters<typeof wire.send>) =>
      Effect.tap(wire.send(carried, connections), ({ body, status, stream: open }) =>
        Effect.sync(() => {
          const size = open === undefined ? body.length : undefined
          seen.push({ method: carried.request.method, url: carried.url, status, bytes: size })
        })
      )
  }
  const looked = yield* Effect.gen(function* () {
    const source = yield* makeImpatient(loaded)
    return yield* source.pages(stream, undefined, { prefetch: false, stopsJobs: true }).pipe(
      Stream.take(mostPages),
      Stream.takeUntil(({ records, rejected }) => records.length + rejected.length > 0),
      Stream.runCollect
    )
  }).pipe(Effect.scoped, Effect.provideService(Wire, watching), Effect.result)

  // A job that is removed when it was read is no page.
  const removal = settings.job === undefined ? undefined : (settings.job.delete?.method ?? "DELETE")
  const last = seen.findLast(({ method }) => method !== removal) ?? seen.at(-1)
  const answered =
    last === undefined
      ? "no request was made"
      : `${last.method} ${last.url} answered ${last.status}${last.bytes === undefined ? "" : ` (${bytes(last.bytes)})`}`
  if (Result.isFailure(looked)) {
    const { reason } = looked.failure
    const step = stepOf(reason)
    if (step === "records" || step === "next page") yield* of("first page", "ok", answered)
    yield* of(step, "failed", reason.message)
    return
  }
  yield* of("first page", "ok", answered)
  const page = looked.success.find(({ records, rejected }) => records.length + rejected.length > 0)
  const place = settings.format === "json" ? ` at ${settings.records}` : ""
  if (page === undefined) {
    const isAll = looked.success.at(-1)?.last ?? true
    const where = isAll ? "the stream has none at the moment" : `none on the first ${mostPages} pages`
    yield* of("records", "empty", `${where}; the list${place} is there and empty, so what follows cannot be checked`)
    return
  }
  const outcome = yield* Effect.result(outcomeOf(loaded, stream, page))
  const all = page.records.length + page.rejected.length
  yield* of("records", "ok", `${count(all)}${place}`)
  if (Result.isFailure(outcome)) return yield* of("transform", "failed", outcome.failure.message)
  const { hasSink, rejectedBySource, rejectedByTable, rejectedByTransform, table, warnings } = outcome.success
  const key = primaryKey(settings)
  const refused = (reasons: ReadonlyArray<string>) => `${count(reasons.length)} refused, the first: ${reasons[0] ?? ""}`
  if (rejectedBySource.length > 0) yield* of("primary key", "failed", refused(rejectedBySource))
  else if (key.length > 0) yield* of("primary key", "ok", `${key.join(", ")} in each of them`)
  // Without a record that could be published there is nothing to see any more.
  if (page.records.length === 0) return
  const captured = answer()
  for (const said of captured === undefined ? [] : pagingWarnings(settings, captured))
    yield* of("next page", "warning", said)
  const { incremental } = settings
  if (incremental !== undefined && !("field" in incremental)) {
    const what = "token" in incremental ? incremental.token : incremental.next_url
    yield* page.last
      ? of("cursor", "ok", `${what} names what the next read begins with`)
      : of("cursor", "skipped", `${what} is named by the last page, which is not asked for here`)
  } else if (incremental !== undefined) {
    const isMissing = page.unmarked >= all
    yield* warnings.length === 0
      ? of("cursor", "ok", `${incremental.field} in each of them`)
      : of("cursor", isMissing ? "failed" : "warning", warnings.join(" "))
  }
  if (rejectedByTransform.length > 0) yield* of("transform", "failed", refused(rejectedByTransform))
  if (Result.isFailure(table)) return yield* of("schema", hasSink ? "failed" : "warning", table.failure)
  yield* rejectedByTable.length > 0
    ? of("schema", "failed", refused(rejectedByTable))
    : of(
        "schema",
        "ok",
        hasSink ? "each of them fits the table that would be made" : "each of them has the types that are stated"
      )
})

const signs: Readonly<Record<Verdict, string>> = {
  ok: "ok     ",
  empty: "empty  ",
  warning: "warning",
  failed: "FAILED ",
  skipped: "skipped"
}

/**
 * Tries a connector step by step: addresses, TLS, token, scopes, and of each stream the first page with one record. Publishes nothing
 * and moves no position; a token that it gets is kept, as it may have cost a refresh token.
 */
export const check = Effect.fn("cli.check")(function* (options: CheckOptions) {
  const screen = yield* Screen
  const { chosen, sent, streams } = yield* choose(options)
  const { connector } = chosen.connector
  const findings: Array<Finding> = []
  let under: string | undefined
  const note = Effect.fnUntraced(function* (finding: Finding) {
    findings.push(finding)
    yield* screen.progress("")
    if (options.json) return
    const { said, step, stream, verdict } = finding
    if (stream !== under) yield* screen.print(stream ?? "")
    under = stream
    yield* screen.print(`  ${signs[verdict]}  ${step.padEnd(11)}  ${printable(said)}`)
  })
  if (!options.json) yield* screen.print(`${connector} (${chosen.file})`)
  for (const one of sent) yield* received(chosen, one, note)
  if (streams.length > 0) yield* screen.progress(`connecting to the API of ${connector} ...`)
  yield* Effect.gen(function* () {
    if (streams.length === 0) return
    const { source, usable } = yield* reached(chosen, streams, note)
    const [first] = usable
    if (first === undefined) return
    const { authorize } = yield* source.trial(first)
    yield* screen.progress(`asking for a token of ${connector} ...`)
    const isAuthorized = authorize === undefined || (yield* authorized(chosen, authorize, note))
    for (const stream of usable) {
      if (!isAuthorized) {
        yield* note({ stream, step: "first page", verdict: "skipped", said: "there is no token to ask with" })
        continue
      }
      yield* screen.progress(`asking for the first page of ${stream} ...`)
      yield* firstRecord(chosen, stream, note)
    }
  }).pipe(
    Effect.catchTag("SourceError", ({ message, stream }) =>
      note({ stream, step: "settings", verdict: "failed", said: message })
    ),
    Effect.scoped
  )
  yield* screen.progress("")
  const failed = findings.filter(({ verdict }) => verdict === "failed").length
  if (options.json) {
    yield* screen.print(
      JSON.stringify({
        connector,
        file: chosen.file,
        passed: failed === 0,
        steps: findings.map((finding) => ({ ...finding, stream: finding.stream ?? null }))
      })
    )
  } else {
    const empty = findings.filter(({ verdict }) => verdict === "empty").length
    const but = empty === 0 ? "" : `; ${count(empty)} stream(s) without records at the moment`
    if (failed === 0) yield* screen.print(`\n${connector} can be run${but}.`)
  }
  if (failed > 0) return yield* new CheckFailed({ connector, failed })
})
