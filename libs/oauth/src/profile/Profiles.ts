import { nearest } from "@tributary/domain"
import { Context, Effect, Schema, SchemaIssue } from "effect"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { isNode, LineCounter, parseDocument } from "yaml"
import { Profile } from "./Profile.ts"
import { ProfileError } from "./ProfileError.ts"

const decode = Schema.decodeUnknownEffect(Profile, { errors: "all", onExcessProperty: "error" })
const format = SchemaIssue.makeFormatterStandardSchemaV1()

const repair = "Correct the profile; its schema is profiles/schema.json."

/** Reads a profile from the text of its file. `file` is what errors name. */
export const parseProfile = Effect.fnUntraced(function* (provider: string, file: string, text: string) {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true, uniqueKeys: true })
  const failure = (offset: number, found: string, expected: string) => {
    const { col, line } = lines.linePos(offset)
    const place = `${file}:${line}:${col}`
    return new ProfileError({ provider, place, found, expected, advice: repair, failureClass: "misconfigured" })
  }
  const broken = document.errors[0]
  if (broken !== undefined) return yield* failure(broken.pos[0], `text that is not YAML (${broken.code})`, "settings")
  const content: unknown = document.toJS()
  const profile = yield* Effect.mapError(decode(content), (error) => {
    const first = format(error.issue).issues[0]
    const path = (first?.path ?? []).map((part) => (typeof part === "object" ? part.key : part))
    // A setting that is missing has no place: its parent's is the nearest.
    const at = path.map((_, index) => path.slice(0, path.length - index)).find((part) => document.hasIn(part)) ?? []
    const node = at.length === 0 ? document.contents : document.getIn(at, true)
    const offset = isNode(node) ? (node.range?.[0] ?? 0) : 0
    return failure(
      offset,
      `${path.map(String).join(".") || "a profile"} that does not fit`,
      (first?.message ?? "a profile").replace(/^expected\s+/iu, "")
    )
  })
  if (profile.id !== provider) return yield* failure(0, `the id ${profile.id}`, `${provider}, the name of the file`)
  return profile
})

const bundled = fileURLToPath(new URL("../../profiles/", import.meta.url))

const isId = (text: string) => /^[a-z][a-z0-9-]{0,63}$/u.test(text)

/** The provider profiles of a folder. */
export interface ProviderProfiles {
  /** Fails if there is no such profile or if it is wrong, with the place. Each file is read once, when it is first asked for. */
  readonly get: (provider: string) => Effect.Effect<Profile, ProfileError>
  /** The profiles that there are, in alphabetical order. */
  readonly ids: Effect.Effect<ReadonlyArray<string>, ProfileError>
}

const unreadable = (provider: string, place: string) => (cause: unknown) => {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown"
  return new ProfileError({
    provider,
    place,
    found: `what cannot be read (${code})`,
    expected: "a readable file",
    advice: "Check that the installation is complete and may be read.",
    failureClass: "misconfigured"
  })
}

/** The profiles of a folder. Reads nothing before it is asked. */
export const profilesIn = (folder: string): ProviderProfiles => {
  const read = new Map<string, Profile>()
  let listed: ReadonlyArray<string> | undefined
  const ids = Effect.suspend(() =>
    listed !== undefined
      ? Effect.succeed(listed)
      : Effect.tryPromise({ try: () => readdir(folder), catch: unreadable("*", folder) }).pipe(
          Effect.map((files) => {
            listed = files
              .filter((file) => file.endsWith(".yaml"))
              .map((file) => file.slice(0, -".yaml".length))
              .toSorted()
            return listed
          })
        )
  )
  const get = Effect.fnUntraced(function* (provider: string) {
    const before = read.get(provider)
    if (before !== undefined) return before
    const known = yield* ids
    if (!isId(provider) || !known.includes(provider)) {
      const near = nearest(provider, known)
      return yield* new ProfileError({
        provider: provider.slice(0, 64),
        place: "provider",
        found: "an unknown name",
        expected: `one of ${known.length} profiles`,
        advice: near === undefined ? "Give token_url and the other settings instead." : `Did you mean ${near}?`,
        failureClass: "misconfigured"
      })
    }
    const file = join(folder, `${provider}.yaml`)
    const text = yield* Effect.tryPromise({ try: () => readFile(file, "utf8"), catch: unreadable(provider, file) })
    const profile = yield* parseProfile(provider, `${provider}.yaml`, text)
    read.set(provider, profile)
    return profile
  })
  return { get, ids }
}

/** The provider profiles that connectors can name. Default: those that come with the package. */
export const Profiles = Context.Reference<ProviderProfiles>("@tributary/oauth/profile/Profiles", {
  defaultValue: () => profilesIn(bundled)
})
