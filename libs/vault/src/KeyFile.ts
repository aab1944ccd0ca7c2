import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeSync
} from "node:fs"
import { platform } from "node:os"
import { dirname } from "node:path"
import { VaultError } from "./TokenStore.ts"
import { keyBytes, type VaultKey } from "./VaultKey.ts"

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
export const createKeyFile = (path: string) => {
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

const misconfigured = (problem: string) =>
  new VaultError({ authorization: undefined, problem, failureClass: "misconfigured" })

const codeOf = (error: unknown) => (error instanceof Error && "code" in error ? String(error.code) : "unknown")

/** Takes away what others than the owner may do with a file of this program's own. */
export const narrowMode = (path: string): Effect.Effect<void, VaultError> =>
  Effect.try({
    try: () => {
      if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600)
    },
    catch: (error) => misconfigured(`the mode of the key file ${path} cannot be set (${codeOf(error)}).`)
  })

/** Everybody may do something with it, or the group may change it. Reading by a group is how containers are given secrets. */
const tooWide = 0o027

const read = (path: string, modes: "refuse" | "any") =>
  Effect.try({
    try: () => {
      const { ino, mode: fullMode, mtimeNs, size } = statSync(path, { bigint: true })
      const mode = Number(fullMode)
      if (modes === "refuse" && platform() !== "win32" && (mode & tooWide) !== 0) {
        throw misconfigured(
          `the key file ${path} is open to others (mode ${(mode & 0o777).toString(8)}). Run \`chmod 600 ${path}\`; of a secret that is mounted set the mode to 0440 or 0400.`
        )
      }
      return { stamp: `${ino} ${mtimeNs} ${size}`, text: () => readFileSync(path, "utf8") }
    },
    catch: (error) =>
      error instanceof VaultError
        ? error
        : misconfigured(`the key file ${path} cannot be read (${codeOf(error)}). Create it, or correct its path.`)
  })

/**
 * Keys of a file, read again when it changes. Once there were keys, a change that makes no sense (an editor may write a file in
 * two steps) is told and leaves them as they were.
 */
export const makeKeyFile = Effect.fnUntraced(function* (
  path: string,
  modes: "refuse" | "any",
  parse: (text: string) => Effect.Effect<ReadonlyArray<VaultKey>, VaultError>
) {
  let told = ""
  const look = Effect.fnUntraced(function* (known: string | undefined) {
    const { stamp, text } = yield* read(path, modes)
    if (stamp === known) return undefined
    const contents = yield* Effect.try({
      try: text,
      catch: (error) => misconfigured(`the key file ${path} cannot be read (${codeOf(error)}).`)
    })
    return { stamp, keys: yield* parse(contents) }
  })
  let last = yield* look(undefined)
  const keys = Effect.gen(function* () {
    const next = yield* Effect.result(look(last?.stamp))
    if (next._tag === "Success") {
      last = next.success ?? last
      told = ""
    } else if (told !== next.failure.message) {
      told = next.failure.message
      yield* Effect.logWarning(`${told} The keys that were read before are used.`)
    }
    return last?.keys ?? []
  })
  return { keys }
})
