import { Config, Effect, Option, Redacted } from "effect"
import { createHash, createSecretKey, type KeyObject, randomBytes } from "node:crypto"
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeSync
} from "node:fs"
import { dirname, join } from "node:path"
import { VaultError } from "./TokenStore.ts"

/** Keys of the vault: records are sealed with `current`, and every key of `byId` opens them. */
export interface Keyring {
  readonly current: string
  readonly byId: ReadonlyMap<string, KeyObject>
}

const variable = "TRIBUTARY_VAULT_KEY"
const keyBytes = 32

/** Says which key sealed a record. It is made from the key, so no list of names has to be kept. */
const keyId = (key: Uint8Array): string =>
  createHash("sha256").update("tributary vault key\0").update(key).digest("hex").slice(0, 16)

const misconfigured = (problem: string, cause?: unknown) =>
  new VaultError({
    authorization: undefined,
    problem,
    failureClass: "misconfigured",
    ...(cause === undefined ? {} : { cause })
  })

/** Makes the entries of a directory durable: a file's own fsync does not cover its name. */
const syncDirectory = (directory: string) => {
  const handle = openSync(directory, "r")
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** Generates the key file: complete and durable before its name exists, and never over a file of somebody else. */
const createKeyFile = (path: string) => {
  const draft = `${path}.${randomBytes(6).toString("hex")}.new`
  const handle = openSync(draft, "wx", 0o600)
  try {
    writeSync(handle, `${randomBytes(keyBytes).toString("base64")}\n`)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
  try {
    linkSync(draft, path)
  } catch (error) {
    // Another process was first; its key is the one to use.
    if (!existsSync(path)) throw error
  } finally {
    unlinkSync(draft)
  }
  syncDirectory(dirname(path))
}

const parse = Effect.fnUntraced(function* (text: string, origin: string) {
  const keys: Array<readonly [string, KeyObject]> = []
  for (const word of text.split(/[\s,]+/).filter((word) => word !== "")) {
    const bytes = Buffer.from(word, "base64")
    if (bytes.length !== keyBytes || !/^[A-Za-z0-9+/_-]+={0,2}$/.test(word)) {
      return yield* misconfigured(
        `${origin} holds a key of ${bytes.length} bytes; ${keyBytes} bytes in base64 were expected. Make one with \`openssl rand -base64 ${keyBytes}\`.`
      )
    }
    keys.push([keyId(bytes), createSecretKey(bytes)])
  }
  return keys
})

/** Where the keys of a store are looked for. */
export interface KeyPlace {
  /** The store as a message names it. */
  readonly store: string
  /** Folder of the file `vault.key`, which is generated there if need be. `undefined`: only the environment is looked at. */
  readonly directory: string | undefined
}

/**
 * The keys of a vault: those of `TRIBUTARY_VAULT_KEY`, then those of the file `vault.key` in its directory, if it has one. Each
 * holds 32 bytes in base64, or several keys separated by commas or line breaks: the first of all seals, every one opens.
 * So a key is changed by putting the new one in front and keeping the old one until all tokens were refreshed. Without
 * any key a file is generated, but only if `sealedWith` is empty: a lost key is never replaced in silence. A store without a
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
  const file = (work: () => void, what: string) =>
    Effect.try({ try: work, catch: (cause) => misconfigured(`the key file ${path} cannot be ${what}.`, cause) })

  const keys = Option.isSome(given) ? yield* parse(Redacted.value(given.value), variable) : []
  if (path === undefined) {
    if (keys.length === 0) {
      return yield* misconfigured(
        `no key is given for ${store}. Set ${variable} to the same key in every process; make one with \`openssl rand -base64 ${keyBytes}\`.`
      )
    }
  } else if (keys.length === 0 && !existsSync(path)) {
    if (sealedWith.length > 0) {
      return yield* misconfigured(
        `${store} holds tokens, but the key that sealed them is gone: there is neither ${variable} nor ${path}. Restore the key. To begin anew, move vault.db away; every authorization then needs a new first token.`
      )
    }
    yield* file(() => createKeyFile(path), "created")
  }
  if (path !== undefined && existsSync(path)) {
    let text = ""
    yield* file(() => {
      chmodSync(path, 0o600)
      text = readFileSync(path, "utf8")
    }, "read")
    keys.push(...(yield* parse(text, `The key file ${path}`)))
  }
  const first = keys[0]
  if (first === undefined) {
    return yield* misconfigured(`${places} holds no key. Restore it from a backup, or set ${variable}.`)
  }
  const byId = new Map(keys)
  if (sealedWith.length > 0 && !sealedWith.some((id) => byId.has(id))) {
    return yield* misconfigured(
      `the tokens of ${store} were sealed with another key (id ${sealedWith.join(", ")}) than the one given (id ${[...byId.keys()].join(", ")}). Give that key in ${places}; several keys are separated by commas.`
    )
  }
  return { current: first[0], byId } satisfies Keyring
})
