import { isRemoteKeyKind, remoteKey } from "@tributary/secrets"
import { Config, Effect, Option, Redacted } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { createKeyFile, makeKeyFile, narrowMode } from "./KeyFile.ts"
import { forgetAdvice, VaultError } from "./TokenStore.ts"
import { keyBytes, localKey, type VaultKey } from "./VaultKey.ts"

/** Keys of the vault at one moment: records are sealed with `current`, and every key of `byId` opens them. */
export interface Keys {
  readonly current: VaultKey
  readonly byId: ReadonlyMap<string, VaultKey>
}

export interface Keyring {
  /** Where keys come from, as a message names it. */
  readonly places: string
  /** The keys as they are now: a key file that was changed is read again. */
  readonly now: Effect.Effect<Keys, VaultError>
}

const variable = "TRIBUTARY_VAULT_KEY"
const makeOne = `Make one with \`openssl rand -base64 ${keyBytes}\`.`

const misconfigured = (problem: string, cause?: unknown) =>
  new VaultError({
    authorization: undefined,
    problem,
    failureClass: "misconfigured",
    ...(cause === undefined ? {} : { cause })
  })

/** A setting's words, which commas or white space separate. */
const wordsOf = (text: string) => text.split(/[\s,]+/).filter((word) => word !== "")

/** A key as 32 bytes in base64. */
const parseKey = (word: string, origin: string): Effect.Effect<VaultKey, VaultError> => {
  const bytes = Buffer.from(word, "base64")
  return bytes.length === keyBytes && /^[A-Za-z0-9+/_-]+={0,2}$/.test(word)
    ? Effect.succeed(localKey(bytes))
    : misconfigured(
        `${origin} holds a key of ${bytes.length} bytes; ${keyBytes} bytes in base64 were expected. ${makeOne}`
      )
}

const parseFile = Effect.fnUntraced(function* (text: string, path: string) {
  const keys: Array<VaultKey> = []
  for (const word of wordsOf(text)) keys.push(yield* parseKey(word, `The key file ${path}`))
  return keys.length === 0 ? yield* misconfigured(`The key file ${path} holds no key. ${makeOne}`) : keys
})

interface Source {
  readonly keys: Effect.Effect<ReadonlyArray<VaultKey>, VaultError>
}

/** Where a word of the setting says that keys are. */
const sourceOf = Effect.fnUntraced(function* (word: string) {
  const colon = word.indexOf(":")
  const [kind, name] = [word.slice(0, Math.max(0, colon)), word.slice(colon + 1)]
  if (kind === "") {
    const key = yield* parseKey(word, variable)
    return { keys: Effect.succeed([key]) } satisfies Source
  }
  if (kind === "file" && name !== "") {
    return yield* makeKeyFile(name, "refuse", (text) => parseFile(text, name))
  }
  if (!isRemoteKeyKind(kind) || name === "") {
    // What stands there may be a key, so only its kind is shown.
    return yield* misconfigured(
      `${variable} names a key of the kind ${/^\w{1,12}$/.test(kind) ? kind : "(unknown)"}. Expected: ${keyBytes} bytes in base64, file:<path>, vault:<engine>/<key> (HashiCorp Vault transit), aws:<key id, ARN or alias/name> or gcp:projects/.../cryptoKeys/<key>.`
    )
  }
  const key: VaultKey = {
    ...(yield* remoteKey(kind, name).pipe(Effect.mapError(({ message }) => misconfigured(message)))),
    itself: undefined
  }
  return { keys: Effect.succeed([key]) } satisfies Source
})

/** Where the keys of a store are looked for. */
export interface KeyPlace {
  /** The store as a message names it. */
  readonly store: string
  /** Folder of the file `vault.key`, which is generated there if need be. `undefined`: only the environment is looked at. */
  readonly directory: string | undefined
}

/** What is left where nobody has the key any more. */
const beginAnew = (store: string): string =>
  `If it is lost, begin anew: move ${store.startsWith("vault.db") ? "vault.db" : "its records"} away; every authorization then needs a new first token or a consent.`

const list = (ids: Iterable<string>) => [...ids].join(", ")

/** What is wrong when a record needs a key that is not given. */
export const missingKey = (authorization: string, id: string, keys: Keys, places: string): string =>
  `they were sealed with a key that is not given (id ${id}; given are ${list(keys.byId.keys())}). Add that key to ${places}, or forget the tokens of this authorization: ${forgetAdvice(authorization)}`

/**
 * The keys of a vault: those of `TRIBUTARY_VAULT_KEY`, then those of the file `vault.key` in its directory, if it has one. The
 * setting has keys separated by commas or white space: 32 bytes in base64, `file:<path>` (a file of such), or the name of a key
 * that another server keeps (`remoteKey`). The first of all seals, every one opens. Without any key a file is generated, but only
 * if `sealedWith`, the keys that the stored records need, is empty: a lost key is never replaced in silence. A store without a
 * directory is shared by processes that could not see each other's file, so its key has to be given.
 */
export const loadKeyring = Effect.fnUntraced(function* (
  { directory, store }: KeyPlace,
  sealedWith: ReadonlyArray<string>
) {
  const path = directory === undefined ? undefined : join(directory, "vault.key")
  const places = path === undefined ? variable : `${variable} or ${path}`
  const given = yield* Config.option(Config.Redacted(variable)).pipe(
    Effect.mapError((cause) => misconfigured(`${variable} cannot be read.`, cause))
  )
  const words = Option.isSome(given) ? wordsOf(Redacted.value(given.value)) : []
  if (words.length === 0) {
    if (path === undefined) {
      return yield* misconfigured(
        `no key is given for ${store}. Set ${variable} to the same key in every process. ${makeOne}`
      )
    }
    if (!existsSync(path)) {
      if (sealedWith.length > 0) {
        return yield* misconfigured(
          `${store} holds tokens, but the key that sealed them is gone (id ${list(sealedWith)}): there is neither ${variable} nor ${path}. Restore the key. ${beginAnew(store)}`
        )
      }
      yield* Effect.try({
        try: () => createKeyFile(path),
        catch: (cause) => misconfigured(`the key file ${path} cannot be created.`, cause)
      })
    }
  }
  const sources: Array<Source> = []
  for (const word of words) sources.push(yield* sourceOf(word))
  if (path !== undefined && existsSync(path)) {
    yield* narrowMode(path)
    sources.push(yield* makeKeyFile(path, "any", (text) => parseFile(text, path)))
  }

  const now = Effect.gen(function* () {
    const all: Array<VaultKey> = []
    for (const source of sources) all.push(...(yield* source.keys))
    const [current] = all
    if (current === undefined) return yield* misconfigured(`${places} holds no key. Restore it, or set ${variable}.`)
    // The first of several that have the same id.
    return { current, byId: new Map(all.toReversed().map((key) => [key.id, key])) } satisfies Keys
  })

  const first = yield* now
  if (sealedWith.length > 0 && !sealedWith.some((id) => first.byId.has(id))) {
    return yield* misconfigured(
      `the tokens of ${store} were sealed with another key (id ${list(sealedWith)}) than the one given (id ${list(first.byId.keys())}). Give that key in ${places}; several keys are separated by commas. ${beginAnew(store)}`
    )
  }
  return { places, now } satisfies Keyring
})
