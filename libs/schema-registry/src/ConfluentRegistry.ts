import type { SchemaRegistryAPIClientArgs } from "@kafkajs/confluent-schema-registry/dist/api/index.js"
import { Cache, Duration, Effect, Layer, Option, Redacted, Schedule, Schema } from "effect"
import { differencesOf } from "./Differences.ts"
import {
  RegistryDenied,
  RegistryError,
  RegistryUnreachable,
  SchemaIncompatible,
  SchemaRefused,
  UnknownSchema
} from "./RegistryError.ts"
import { type Compatibility, type RegisteredSchema, type RegisterOptions, SchemaRegistry } from "./SchemaRegistry.ts"

export interface ConfluentRegistryOptions {
  /** Address of the registry's API; user and password are not part of it. */
  readonly url: string
  readonly user?: string
  readonly password?: Redacted.Redacted
}

/** Longest wait for an answer, milliseconds. */
const timeout = 10_000
/** Tries of one call; then its caller decides. Each waits longer than the one before. */
const tries = 3
const pause = Duration.millis(100)

const Id = Schema.Struct({ id: Schema.Int })
/** `schemaType` is left out for Avro. */
const Found = Schema.Struct({ schema: Schema.String, schemaType: Schema.optionalKey(Schema.NullOr(Schema.String)) })
const Latest = Schema.Struct({ ...Found.fields, id: Schema.Int })
const Config = Schema.Struct({ compatibilityLevel: Schema.String })
const decodeId = Schema.decodeUnknownEffect(Id)
const decodeFound = Schema.decodeUnknownEffect(Found)
const decodeLatest = Schema.decodeUnknownEffect(Latest)
const decodeConfig = Schema.decodeUnknownEffect(Config)

/** What a call failed with. */
const Failure = Schema.Struct({ status: Schema.Int, message: Schema.String })
const decodeFailure = Schema.decodeUnknownOption(Failure)
/** The client reports a connection that failed as HTTP 400 with a text, where registries answer with JSON. */
const withoutAnswer = /^Error, status 400(?:: |$)/u

type Middleware = NonNullable<SchemaRegistryAPIClientArgs["middlewares"]>[number]
const bounded: Middleware = () => ({ prepareRequest: async (next) => (await next()).enhance({ timeout }) })

const typeOf = (schemaType: string | null | undefined): RegisteredSchema["type"] =>
  schemaType === undefined || schemaType === null || schemaType === "AVRO"
    ? "avro"
    : schemaType === "JSON"
      ? "json-schema"
      : "other"

const make = Effect.fnUntraced(function* (options: ConfluentRegistryOptions) {
  // Loaded here, so that programs without such a registry do not load it.
  const { default: exported } = yield* Effect.promise(
    () => import("@kafkajs/confluent-schema-registry/dist/api/index.js")
  )
  // Loaders differ in what they take for the default export of a CommonJS module.
  const connect = typeof exported === "function" ? exported : exported.default
  const api = connect({
    host: options.url.replace(/\/+$/u, ""),
    clientId: "tributary",
    retry: { retries: 0 },
    middlewares: [bounded],
    ...(options.user === undefined
      ? {}
      : {
          auth: {
            username: options.user,
            password: options.password === undefined ? "" : Redacted.value(options.password)
          }
        })
  })
  const registry = options.url

  /** A call's failure as an error; `status` stays for the callers that know what theirs means. */
  const classify = (action: string, cause: unknown) => {
    const failure = Option.getOrUndefined(decodeFailure(cause))
    const message = failure?.message.replace(/^tributary - /u, "") ?? String(cause)
    const status = failure === undefined || withoutAnswer.test(message) ? 503 : failure.status
    const detail = message.replace(withoutAnswer, "").replace(/\.$/u, "")
    const reason =
      status === 401 || status === 403
        ? new RegistryDenied({ registry, action, status })
        : status >= 500 || status === 408 || status === 429
          ? new RegistryUnreachable({ registry, action, detail })
          : new SchemaRefused({ registry, action, status, detail })
    return new RegistryError({ reason })
  }

  const call = (action: string, run: () => Promise<{ readonly data: () => unknown }>) =>
    Effect.tryPromise({ try: async () => (await run()).data(), catch: (cause) => classify(action, cause) }).pipe(
      Effect.retry({
        times: tries - 1,
        schedule: Schedule.exponential(pause).pipe(Schedule.jittered),
        while: ({ reason }) => reason._tag === "RegistryUnreachable"
      })
    )
  const unreadable = (action: string) => (error: Schema.SchemaError) =>
    new RegistryError({
      reason: new SchemaRefused({ registry, action, status: 200, detail: `unexpected answer: ${error.message}` })
    })
  const isStatus =
    (status: number) =>
    ({ reason }: RegistryError): boolean =>
      reason._tag === "SchemaRefused" && reason.status === status

  const find = Effect.fnUntraced(function* (id: number) {
    const action = `read schema ${id}`
    const data = yield* call(action, () => api.Schema.find({ id })).pipe(
      Effect.catchIf(isStatus(404), () =>
        Effect.fail(new RegistryError({ reason: new UnknownSchema({ registry, id }) }))
      )
    )
    const { schema, schemaType } = yield* Effect.mapError(decodeFound(data), unreadable(action))
    return { type: typeOf(schemaType), text: schema } satisfies RegisteredSchema
  })
  const schemas = yield* Cache.makeWith(find, {
    capacity: 10_000,
    // What an id stands for never changes; a failure is asked again.
    timeToLive: (exit) => (exit._tag === "Success" ? Duration.infinity : Duration.zero)
  })

  const latest = Effect.fn("SchemaRegistry.latest")(function* (subject: string) {
    const action = `read the last schema of ${subject}`
    const data = yield* call(action, () => api.Subject.latestVersion({ subject })).pipe(
      Effect.asSome,
      Effect.catchIf(isStatus(404), () => Effect.succeedNone)
    )
    if (Option.isNone(data)) return Option.none()
    const { id, schema, schemaType } = yield* Effect.mapError(decodeLatest(data.value), unreadable(action))
    return Option.some({ id, type: typeOf(schemaType), text: schema })
  })

  const setCompatibility = (subject: string, compatibility: Compatibility) =>
    call(`set the compatibility of ${subject} to ${compatibility}`, () =>
      api.Subject.updateConfig({ subject, body: { compatibility } })
    )

  /** Sees that the subject has the compatibility that is asked for; one that has none of its own is given one when it is new. */
  const settle = Effect.fnUntraced(function* (subject: string, wanted: Compatibility | undefined) {
    const action = `read the compatibility of ${subject}`
    const own = yield* call(action, () => api.Subject.config({ subject })).pipe(
      Effect.flatMap((data) => Effect.mapError(decodeConfig(data), unreadable(action))),
      Effect.map(({ compatibilityLevel }) => compatibilityLevel),
      Effect.catchIf(isStatus(404), () => Effect.undefined)
    )
    if (own !== undefined && (wanted === undefined || wanted === own)) return { compatibility: own, later: undefined }
    if (wanted === undefined && Option.isSome(yield* latest(subject))) return { compatibility: "", later: undefined }
    const compatibility = wanted ?? "BACKWARD"
    // Some registries have no settings for a subject without versions.
    const later = yield* setCompatibility(subject, compatibility).pipe(
      Effect.as(undefined),
      Effect.catchIf(isStatus(404), () => Effect.succeed(compatibility))
    )
    return { compatibility, later }
  })

  const register = Effect.fn("SchemaRegistry.register")(function* (
    subject: string,
    text: string,
    { compatibility: wanted, type }: RegisterOptions
  ) {
    const { compatibility, later } = yield* settle(subject, wanted)
    const action = `register a schema of ${subject}`
    const schemaType = type === "avro" ? "AVRO" : "JSON"
    const data = yield* call(action, () => api.Subject.register({ subject, body: { schemaType, schema: text } })).pipe(
      Effect.catchIf(isStatus(409), () =>
        Effect.flatMap(latest(subject), (last) =>
          Effect.fail(
            new RegistryError({
              reason: new SchemaIncompatible({
                subject,
                compatibility,
                differences: Option.match(last, {
                  onNone: () => "the registry does not say in what",
                  onSome: (before) => differencesOf(before.text, text)
                })
              })
            })
          )
        )
      )
    )
    if (later !== undefined) yield* setCompatibility(subject, later)
    return (yield* Effect.mapError(decodeId(data), unreadable(action))).id
  })

  return SchemaRegistry.of({ register, latest, byId: (id) => Cache.get(schemas, id) })
})

/** A registry with Confluent's REST API (version 7), such as Confluent's own, Apicurio's `ccompat` or Karapace. */
export const layerConfluent = (options: ConfluentRegistryOptions): Layer.Layer<SchemaRegistry> =>
  Layer.effect(SchemaRegistry, make(options))
