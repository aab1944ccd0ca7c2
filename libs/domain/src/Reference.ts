import { nearest } from "./Nearest.ts"

/** A `${...}` found in a text. */
export interface Reference {
  /** Offset in the text. */
  readonly at: number
  /** The whole of it, from `${` to `}` (or to the end, when it is not closed). */
  readonly text: string
  readonly isClosed: boolean
}

/** Kinds of references that are resolved. */
export const referenceKinds = ["env", "file", "vault", "aws", "gcp"] as const

/** The kinds as they are written, for messages. */
export const referenceForms = "${env:NAME}, ${file:path}, ${vault:path#field}, ${aws:name#field} or ${gcp:name#field}"

/** All `${...}` of a text, in order. */
export const referencesIn = (text: string): ReadonlyArray<Reference> => {
  const found: Array<Reference> = []
  let at = text.indexOf("${")
  while (at !== -1) {
    const end = text.indexOf("}", at)
    found.push({ at, text: end === -1 ? text.slice(at) : text.slice(at, end + 1), isClosed: end !== -1 })
    at = end === -1 ? -1 : text.indexOf("${", end)
  }
  return found
}

const supported = `Only ${referenceForms} are supported`

/** What may stand for a name in a store, and for a field of what it names. */
const storeName = /^[^\s{}#]+(#[^\s{}#]+)?$/u

/** What is wrong with the name of a secret in a store. */
const storeProblem = (kind: "vault" | "aws" | "gcp", name: string): string | undefined => {
  if (name === "") {
    switch (kind) {
      case "vault":
        return "Name the secret of HashiCorp Vault and its field: ${vault:kv/shop#secret}."
      case "aws":
        return "Name the secret of AWS Secrets Manager: ${aws:shop}, or ${aws:shop#field}."
      case "gcp":
        return "Name the secret of Google Secret Manager: ${gcp:shop}, or ${gcp:shop#field}."
    }
  }
  if (!storeName.test(name)) return "The name of a secret has no space, no { or } and at most one #, before the field."
  if (kind !== "vault") return undefined
  if (!name.includes("#")) return `Name the field of the secret: \${vault:${name}#field}.`
  return /^[^/#]+\/[^#]+#/u.test(name) ? undefined : "Name the engine and the secret: ${vault:kv/shop#secret}."
}

/** What is wrong with a reference, as advice; `undefined` when it is well formed. */
export const referenceProblem = ({ isClosed, text }: Reference): string | undefined => {
  if (!isClosed) return "The reference is not closed: } is missing."
  const inner = text.slice(2, -1)
  const colon = inner.indexOf(":")
  const kind = colon === -1 ? "" : inner.slice(0, colon)
  const name = inner.slice(colon + 1)
  switch (kind) {
    case "env":
      if (name === "") return "Name the environment variable: ${env:NAME}."
      return /^[A-Za-z_][A-Za-z0-9_]*$/u.test(name)
        ? undefined
        : "The name of an environment variable has letters, digits and _ only, and no digit first."
    case "file":
      if (name.trim() === "") return "Name the file: ${file:path}, relative to the connector file."
      return name.trim() === name && !/[{\n]/u.test(name)
        ? undefined
        : "The path of a file reference has no space at its ends and no { in it."
    case "vault":
    case "aws":
    case "gcp":
      return storeProblem(kind, name)
    case "":
      return /^[A-Za-z_][A-Za-z0-9_]*$/u.test(inner)
        ? `Say where it comes from: \${env:${inner}} or \${file:path}.`
        : `${supported}.`
    default: {
      const meant = nearest(kind, referenceKinds)
      return meant === undefined
        ? `${supported}; ${/^[\w-]{1,20}$/u.test(kind) ? `\`${kind}\` is not a kind of reference yet.` : "this is neither."}`
        : `Write \${${meant}:${/^[\w./-]{1,80}$/u.test(name) ? name : meant === "env" ? "NAME" : meant === "file" ? "path" : "name"}}; the kinds are ${referenceKinds.slice(0, -1).join(", ")} and ${referenceKinds.at(-1)}, in lower case.`
    }
  }
}

/** Whether the text, taken as a whole, shows no secret when printed: nothing but a reference, well formed or nearly so. */
export const isReferenceLike = (text: string): boolean =>
  /^\$\{([A-Za-z]{2,10}:[^{}\s]*|[A-Z][A-Z0-9_]*)\}$/u.test(text) && text.length <= 300
