import { Config, Effect, Option, Redacted, Schema } from "effect"
import { limited, placeTimeout, wrongSetting } from "../limited.ts"
import { PlaceError } from "../PlaceError.ts"
import type { SecretStore } from "../SecretStore.ts"
import { crc32c } from "./crc32c.ts"
import { damaged, makeGoogleClient } from "./GoogleClient.ts"

const Accessed = Schema.Struct({
  payload: Schema.Struct({ data: Schema.optional(Schema.String), dataCrc32c: Schema.optional(Schema.String) })
})
const decodeAccessed = Schema.decodeUnknownOption(Accessed)

/** Where Google's API is, when it is reached by another name (a private endpoint, an emulator); as gcloud has it. */
const endpoint = Config.option(Config.String("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER"))

/** A secret's version, in full; the newest one that is enabled if none is named. */
const fullName = /^projects\/[^/]+(\/locations\/([^/]+))?\/secrets\/[^/]+(\/versions\/[^/]+)?$/

/**
 * Secrets of Google Secret Manager: `name`, in the project of the credentials, or in full
 * `projects/p/secrets/name`, also with `/versions/3`, also `projects/p/locations/l/secrets/name`. The service account needs
 * `secretmanager.versions.access` (https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access).
 */
export const secretManager = Effect.gen(function* () {
  const timeout = yield* placeTimeout
  const root = Option.getOrUndefined(yield* Effect.mapError(endpoint, wrongSetting))?.replace(/\/+$/, "")
  const { ask, project } = yield* makeGoogleClient

  const read: SecretStore["read"] = Effect.fnUntraced(function* (name) {
    const place = `Google Secret Manager, secret ${name}`
    const isShort = !name.includes("/")
    const path = isShort ? `projects/${yield* limited(place, timeout)(project(place))}/secrets/${name}` : name
    const parts = fullName.exec(path)
    if (parts === null) {
      return yield* new PlaceError({
        place,
        problem:
          "this is no name of a secret. Write its name alone, or projects/<project>/secrets/<name>, with /versions/<n> for one version.",
        failureClass: "misconfigured"
      })
    }
    const location = parts[2]
    const host = root ?? `https://secretmanager.${location === undefined ? "" : `${location}.rep.`}googleapis.com`
    const version = parts[3] === undefined ? `${path}/versions/latest` : path
    const once = Effect.gen(function* () {
      const answer = yield* ask(
        place,
        "secretmanager.versions.access (Secret Manager Secret Accessor)",
        `${host}/v1/${version}:access`
      )
      const { data = "", dataCrc32c } = Option.getOrElse(
        Option.map(decodeAccessed(Redacted.value(answer)), ({ payload }) => payload),
        () => ({ data: "", dataCrc32c: undefined })
      )
      const bytes = Buffer.from(data, "base64")
      if (dataCrc32c !== undefined && dataCrc32c !== crc32c(bytes)) return yield* damaged(place)
      return Redacted.make(bytes)
    })
    const bytes = Redacted.value(yield* limited(place, timeout)(once))
    return yield* Effect.try({
      try: () => Redacted.make(new TextDecoder("utf-8", { fatal: true }).decode(bytes)),
      catch: () =>
        new PlaceError({
          place,
          problem: "it is binary, and no UTF-8 text. Store the secret as text.",
          failureClass: "misconfigured"
        })
    })
  })
  return { read } satisfies SecretStore
})
