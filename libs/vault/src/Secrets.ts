import { type FailureClass, nearest } from "@tributary/domain"
import { Context, Effect, Layer, Redacted, Schema } from "effect"
import { readFile, stat } from "node:fs/promises"
import { resolve } from "node:path"
import { Environment } from "./Environment.ts"

/** A reference that cannot be resolved. The message names the reference and never a secret. */
export class SecretError extends Schema.TaggedError<SecretError>()("SecretError", {
  reference: Schema.String,
  problem: Schema.String
}) {
  readonly failureClass: FailureClass = "misconfigured"
  override get message(): string {
    return `${this.reference}: ${this.problem}`
  }
}

/** Secrets are short; a larger file was named by mistake. */
const maxFileBytes = 1_048_576

const anyReference = /\$\{([^}]*)\}/g
const wholeReference = /^\$\{([^}]*)\}$/

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

/** Resolves references of connector files: `${env:NAME}`, `${file:path}`. Files are read anew when they change. */
export class Secrets extends Context.Service<
  Secrets,
  {
    /** Resolves one reference. `base` is the folder that relative paths start from. */
    readonly secret: (reference: string, base: string) => Effect.Effect<Redacted.Redacted<string>, SecretError>
    /** Replaces every reference inside a setting that is not secret (an address, a header). */
    readonly text: (template: string, base: string) => Effect.Effect<string, SecretError>
  }
>()("@tributary/vault/Secrets") {
  /**
   * Environment variables and files. A trailing line break of a file does not belong to the secret. A file is read
   * again when its modification time, size or inode changes, so a rotated secret is used without a restart.
   */
  static readonly layer = Layer.effect(
    Secrets,
    Effect.gen(function* () {
      const environment = yield* Environment
      const files = new Map<string, { readonly stamp: Stamp; readonly value: Redacted.Redacted<string> }>()

      const fromEnvironment = (reference: string, name: string) => {
        const value = environment[name]
        if (value !== undefined && value !== "") return Effect.succeed(Redacted.make(value))
        const set = Object.keys(environment).filter((key) => environment[key] !== undefined && environment[key] !== "")
        const near = nearest(name, set)
        const state = value === "" ? "is empty" : "is not set"
        const hint = near === undefined ? "" : ` Did you mean ${near}, which is set?`
        const problem = `the environment variable ${name} ${state}.${hint} Set it where Tributary is started, or use \${file:path}.`
        return new SecretError({ reference, problem })
      }

      const fromFile = Effect.fnUntraced(function* (reference: string, given: string, base: string) {
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

      const one = (reference: string, body: string, base: string) => {
        const colon = body.indexOf(":")
        const kind = body.slice(0, colon)
        const name = body.slice(colon + 1).trim()
        if (colon > 0 && name !== "" && kind === "env") return fromEnvironment(reference, name)
        if (colon > 0 && name !== "" && kind === "file") return fromFile(reference, name, base)
        const problem = "this is no reference that is known. Write ${env:NAME} or ${file:path}."
        return new SecretError({ reference, problem })
      }

      const secret = (reference: string, base: string) => {
        const body = wholeReference.exec(reference)?.[1]
        if (body !== undefined) return one(reference, body, base)
        // What stands here may be the secret itself, so it is not shown.
        const problem = "a secret is written as a reference, ${env:NAME} or ${file:path}, never as itself."
        return new SecretError({ reference: "A secret in the connector file", problem })
      }

      const text = Effect.fnUntraced(function* (template: string, base: string) {
        let out = ""
        let end = 0
        for (const match of template.matchAll(anyReference)) {
          const value = yield* one(match[0], match[1] ?? "", base)
          out += template.slice(end, match.index) + Redacted.value(value)
          end = match.index + match[0].length
        }
        return out + template.slice(end)
      })

      return Secrets.of({ secret, text })
    })
  )
}
