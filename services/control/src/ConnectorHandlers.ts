import { Catalog, type Registered } from "@tributary/catalog"
import { connectorWithoutSecrets, parseConnector, textWithoutSecrets } from "@tributary/domain"
import { ConnectorInvalid, ConnectorNotFound, type ConnectorSummary, ControlApi } from "@tributary/domain/control"
import { Log } from "@tributary/log"
import { Effect, Result } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { answered } from "./Answered.ts"
import { checkSource } from "./CheckSource.ts"
import { type Owned, ownersOf } from "./Owned.ts"
import { Revoker } from "./Revoker.ts"

const notFound = (connector: string) =>
  new ConnectorNotFound({
    message: `No connector ${JSON.stringify(connector.slice(0, 80))} is registered. GET /v1/connectors lists those that are.`
  })

const summaryOf = (connector: string, registered: Registered, owned: Owned): ConnectorSummary => {
  const owner = owned.ownerOf(connector) ?? null
  return Result.match(registered, {
    onSuccess: ({ at, file, revision }) => ({ connector, revision, registeredAt: at, file, problem: null, owner }),
    onFailure: ({ message }) => ({
      connector,
      revision: null,
      registeredAt: null,
      file: null,
      problem: textWithoutSecrets(message),
      owner
    })
  })
}

/** Why what is registered cannot be run by this version; its problems show no secret. */
const problemOf = (text: string, file: string): string | null =>
  Result.match(parseConnector(text, file), {
    onSuccess: () => null,
    onFailure: ([first, ...others]) =>
      first === undefined
        ? null
        : `${first.file}:${first.line}: ${first.path === "" ? "" : `${first.path}: `}found ${first.found}, expected ${first.expected}. ${first.advice}` +
          (others.length === 0 ? "" : ` And ${others.length} more.`)
  })

const read = answered("Try again.")
const written = answered("Whether the change was written is not known. Send it again: it does no harm twice.")

export const connectorHandlers = HttpApiBuilder.group(
  ControlApi,
  "connectors",
  Effect.fnUntraced(function* (handlers) {
    const catalog = yield* Catalog
    const log = yield* Log
    const owners = Effect.provideService(ownersOf, Log, log)
    const revoke = yield* Revoker

    return handlers.handleAll({
      list: Effect.fn("control.list")(function* () {
        const [registrations, owned] = yield* read(Effect.all([catalog.list, owners], { concurrency: 2 }))
        return {
          connectors: [...registrations]
            .toSorted(([left], [right]) => (left < right ? -1 : 1))
            .map(([id, registered]) => summaryOf(id, registered, owned))
        }
      }),

      get: Effect.fn("control.get")(function* ({ params }) {
        const [registrations, owned] = yield* read(Effect.all([catalog.list, owners], { concurrency: 2 }))
        const registered = registrations.get(params.id)
        if (registered === undefined) return yield* notFound(params.id)
        const summary = summaryOf(params.id, registered, owned)
        if (Result.isFailure(registered)) return { ...summary, text: "", scripts: [], redacted: false }
        const { file, scripts, text } = registered.success
        const shown = connectorWithoutSecrets(text)
        const modules = scripts.map((script) => ({ path: script.path, text: textWithoutSecrets(script.text) }))
        return {
          ...summary,
          problem: problemOf(text, file),
          text: shown,
          scripts: modules,
          redacted: shown !== text || modules.some((module, index) => module.text !== scripts[index]?.text)
        }
      }),

      put: Effect.fn("control.put")(function* ({ params, payload, query }) {
        const { id } = params
        const dryRun = query.dry_run !== undefined && query.dry_run !== "false"
        const before = (yield* read(catalog.list)).get(id)
        const known = before === undefined ? undefined : Result.getOrUndefined(before)
        const file = known?.file ?? `${id.slice(0, 80)}.yaml`
        const checked = yield* checkSource(id, typeof payload === "string" ? { text: payload } : payload, file)
        if (Result.isFailure(checked)) {
          const { failure: problems } = checked
          const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`
          return yield* new ConnectorInvalid({ message: `${file} has ${count}; nothing was registered.`, problems })
        }
        const { registration, warnings } = checked.success
        const { revision } = registration
        if (known?.revision === revision)
          return { connector: id, outcome: "unchanged" as const, revision, warnings, dryRun }
        if (!dryRun) {
          yield* written(
            catalog
              .write([{ register: registration }])
              .pipe(
                Effect.catchReason("LogError", "InvalidRequest", ({ detail }) =>
                  Effect.fail(new ConnectorInvalid({ message: `The log does not take it: ${detail}`, problems: [] }))
                )
              )
          )
          yield* Effect.logInfo("Connector registered.").pipe(Effect.annotateLogs({ connector: id, revision }))
        }
        const outcome = before === undefined ? ("registered" as const) : ("changed" as const)
        return { connector: id, outcome, revision, warnings, dryRun }
      }),

      delete: Effect.fn("control.delete")(function* ({ params, query }) {
        const { id } = params
        const dryRun = query.dry_run !== undefined && query.dry_run !== "false"
        const before = yield* read(catalog.list)
        if (!before.has(id)) return yield* notFound(id)
        if (dryRun) return { connector: id, outcome: "deleted" as const, revision: null, warnings: [], dryRun }
        yield* written(catalog.write([{ remove: id }]))
        const tokens = yield* revoke(id, before)
        yield* Effect.logInfo("Connector deleted.").pipe(
          Effect.annotateLogs({ connector: id, ...(tokens === undefined ? {} : { tokens }) })
        )
        return {
          connector: id,
          outcome: "deleted" as const,
          revision: null,
          warnings: [],
          dryRun,
          ...(tokens === undefined ? {} : { tokens })
        }
      })
    })
  })
)
