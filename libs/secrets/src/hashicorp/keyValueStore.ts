import { Effect, Option, Redacted, Schema } from "effect"
import { limited, placeTimeout } from "../limited.ts"
import { PlaceError } from "../PlaceError.ts"
import type { SecretStore } from "../SecretStore.ts"
import { makeHashicorpClient, refusalToError } from "./HashicorpClient.ts"

const MountInfo = Schema.Struct({
  data: Schema.Struct({
    path: Schema.String,
    type: Schema.String,
    options: Schema.NullishOr(Schema.Record(Schema.String, Schema.String))
  })
})
const decodeMount = Schema.decodeUnknownOption(MountInfo)

const Fields = Schema.Record(Schema.String, Schema.Unknown)
const Versioned = Schema.Struct({
  data: Schema.Struct({
    data: Schema.NullOr(Fields),
    metadata: Schema.optional(Schema.Struct({ deletion_time: Schema.optional(Schema.String) }))
  })
})
const decodeVersioned = Schema.decodeUnknownOption(Versioned)
const decodePlain = Schema.decodeUnknownOption(Schema.Struct({ data: Fields }))

/** Where a secrets engine is. */
interface Mount {
  /** Ends with a slash. */
  readonly path: string
  readonly isVersioned: boolean
}

const encoded = (path: string) => path.split("/").map(encodeURIComponent).join("/")

/**
 * Secrets of HashiCorp Vault's KV engine, version 2 or 1: `kv/shop` is the secret `shop` of the engine at `kv/`. Where engines
 * are is asked as Vault's own program does; if that is not allowed, the path's first part is taken for a version 2 engine.
 */
export const keyValueStore = Effect.gen(function* () {
  const timeout = yield* placeTimeout
  const { ask, name } = yield* makeHashicorpClient
  const mounts = new Map<string, Mount>()

  const mountOf = Effect.fnUntraced(function* (place: string, path: string) {
    for (const mount of mounts.values()) if (path.startsWith(mount.path)) return mount
    const answer = yield* ask(place, { method: "GET", path: `sys/internal/ui/mounts/${encoded(path)}` }).pipe(
      Effect.catchTag("Refusal", (refusal) =>
        [400, 403, 404].includes(refusal.status) ? Effect.undefined : refusalToError(place, refusal, "")
      )
    )
    const found = answer === undefined ? undefined : Option.getOrUndefined(decodeMount(Redacted.value(answer)))
    if (found === undefined) return { path: path.slice(0, path.indexOf("/") + 1), isVersioned: true }
    const { data } = found
    if (data.type !== "kv" && data.type !== "generic") {
      const problem = `the secrets engine at ${data.path} is of the type ${data.type}. Only the KV engine holds secrets that can be named.`
      return yield* new PlaceError({ place, problem, failureClass: "misconfigured" })
    }
    const mount = { path: data.path, isVersioned: data.options?.["version"] === "2" }
    mounts.set(mount.path, mount)
    return mount
  })

  const look = Effect.fnUntraced(function* (place: string, path: string) {
    const mount = yield* mountOf(place, path)
    const rest = path.slice(mount.path.length)
    const at = `${mount.path}${mount.isVersioned ? "data/" : ""}${rest}`
    const nothing = (why: string) => new PlaceError({ place, problem: why, failureClass: "misconfigured" })
    const hint =
      mount.isVersioned && rest.startsWith("data/")
        ? `Write ${mount.path}${rest.slice(5)}, without data/.`
        : `Write it with \`vault kv put ${path}\`, or correct the path (vault kv list ${mount.path.replace(/\/$/, "")}).`
    const answer = yield* ask(place, { method: "GET", path: encoded(at) }).pipe(
      Effect.catchTag("Refusal", (refusal) => {
        if (refusal.status === 404) {
          mounts.delete(mount.path)
          return nothing(`there is no such secret, or its latest version was deleted. ${hint}`)
        }
        return refusalToError(place, refusal, `read on ${at}`)
      })
    )
    const value = Redacted.value(answer)
    const fields = mount.isVersioned
      ? Option.map(decodeVersioned(value), ({ data }) => data.data)
      : Option.map(decodePlain(value), ({ data }) => data)
    if (Option.isNone(fields)) return yield* nothing("its answer is not one of the KV engine. Check the path.")
    if (fields.value === null) return yield* nothing(`its latest version was deleted. ${hint}`)
    return Redacted.make(JSON.stringify(fields.value))
  })

  const read: SecretStore["read"] = (path) => {
    const place = `${name}, secret ${path}`
    // In an address these would lead elsewhere than to the secret that is written.
    if (path.includes("/") && path.split("/").some((part) => part === "" || part === "." || part === "..")) {
      return new PlaceError({
        place,
        problem:
          "the path has a part that is empty, `.` or `..`. Write the engine and the secret as they are, as in ${vault:kv/shop#secret}.",
        failureClass: "misconfigured"
      })
    }
    return path.includes("/")
      ? limited(place, timeout)(look(place, path))
      : new PlaceError({
          place,
          problem: "the path names no secret. Write the engine and the secret, as in ${vault:kv/shop#secret}.",
          failureClass: "misconfigured"
        })
  }
  return { read } satisfies SecretStore
})
