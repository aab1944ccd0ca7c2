import { Effect, Redacted } from "effect"
import { readFile, stat } from "node:fs/promises"
import { resolve } from "node:path"
import { SecretError } from "./SecretError.ts"

/** Secrets are short; a larger file was named by mistake. */
const maxFileBytes = 1_048_576

/** What `stat` says of a file; a file is read again when any of it changes. */
interface Stamp {
  readonly modified: bigint
  readonly size: bigint
  readonly inode: bigint
}

const fileProblem = (path: string, error: unknown): string => {
  switch (error instanceof Error && "code" in error ? error.code : undefined) {
    case "ENOENT":
    case "ENOTDIR":
      return `there is no file ${path}. Create it, or correct the path (relative paths start at the connector file).`
    case "EACCES":
    case "EPERM":
      return `the file ${path} may not be read. Give read permission to the user that Tributary runs as.`
    default:
      return `the file ${path} cannot be read${error instanceof Error && "code" in error ? ` (${String(error.code)})` : ""}.`
  }
}

/** Reads secrets from files. One is read again when its modification time, size or inode changes. */
export const makeFileSecrets = () => {
  const files = new Map<string, { readonly stamp: Stamp; readonly value: Redacted.Redacted<string> }>()

  /** A trailing line break does not belong to the secret. Relative paths start at `base`. */
  return Effect.fnUntraced(function* (reference: string, given: string, base: string) {
    const path = resolve(base, given)
    const failed = (error: unknown) => new SecretError({ reference, problem: fileProblem(path, error) })
    const found = yield* Effect.tryPromise({ try: () => stat(path, { bigint: true }), catch: failed })
    if (!found.isFile()) return yield* new SecretError({ reference, problem: `${path} is not a file.` })
    if (found.size > maxFileBytes) {
      const problem = `the file ${path} has ${found.size} bytes; a secret has at most ${maxFileBytes}. Correct the path.`
      return yield* new SecretError({ reference, problem })
    }
    const stamp: Stamp = { modified: found.mtimeNs, size: found.size, inode: found.ino }
    const known = files.get(path)
    if (
      known !== undefined &&
      known.stamp.modified === stamp.modified &&
      known.stamp.size === stamp.size &&
      known.stamp.inode === stamp.inode
    ) {
      return known.value
    }
    const bytes = yield* Effect.tryPromise({ try: () => readFile(path), catch: failed })
    const text = yield* Effect.try({
      try: () => new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\r?\n$/, ""),
      catch: () =>
        new SecretError({ reference, problem: `the file ${path} is not UTF-8 text. Write the secret as text.` })
    })
    if (text === "") {
      return yield* new SecretError({ reference, problem: `the file ${path} is empty. Write the secret into it.` })
    }
    const value = Redacted.make(text)
    files.set(path, { stamp, value })
    return value
  })
}
