import { nearest } from "@tributary/domain"
import { Config, Context, Duration, Effect, Layer, Option, Redacted, Schema, Scope } from "effect"
import { makeCachedStore, type Renewal } from "./CachedStore.ts"
import { Environment } from "./Environment.ts"
import { makeFileSecrets } from "./FileSecrets.ts"
import { wrongSetting } from "./limited.ts"
import { SecretError } from "./SecretError.ts"
import { secretStore, type StoreKind, storeKinds } from "./SecretStore.ts"

const anyReference = /\$\{([^}]*)\}/g
const wholeReference = /^\$\{([^}]*)\}$/

/** How long what a store said is used before it is asked again. */
const life = Config.Duration("TRIBUTARY_SECRETS_TTL").pipe(
  Config.withDefault(Duration.minutes(5)),
  Effect.mapError(wrongSetting)
)

const decodeFields = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

/** A part of a reference: the kind, the name, and the field of the secret if one is named. */
interface Parts {
  readonly kind: string
  readonly name: string
  readonly field: string | undefined
}

const partsOf = (body: string): Parts => {
  const colon = body.indexOf(":")
  const rest = body.slice(colon + 1).trim()
  const hash = rest.lastIndexOf("#")
  const kind = colon > 0 ? body.slice(0, colon) : ""
  // A file's name may hold a #.
  if (hash === -1 || !storeKinds.some((known) => known === kind)) return { kind, name: rest, field: undefined }
  return { kind, name: rest.slice(0, hash), field: rest.slice(hash + 1) }
}

const isStoreKind = (kind: string): kind is StoreKind => storeKinds.some((known) => known === kind)

const kinds = "${env:NAME}, ${file:path}, ${vault:path#field}, ${aws:name#field} or ${gcp:name#field}"

/** The field of a secret that a store gave as a JSON object. */
const fieldOf = (reference: string, name: string, field: string, secret: Redacted.Redacted<string>) => {
  const wrong = (problem: string) => new SecretError({ reference, problem })
  const fields = Option.getOrUndefined(decodeFields(Redacted.value(secret)))
  if (fields === undefined) {
    return wrong(
      `the secret ${name} is no JSON object, so it has no fields. Leave out #${field} to use the whole of it.`
    )
  }
  const value = fields[field]
  if (value === undefined || value === null) {
    const near = nearest(field, Object.keys(fields))
    const hint = near === undefined ? `It has ${Object.keys(fields).length} field(s).` : `Did you mean ${near}?`
    return wrong(`the secret ${name} has no field ${field}. ${hint} Add the field, or correct its name.`)
  }
  if (typeof value !== "string")
    return wrong(`the field ${field} of the secret ${name} is no text. Store it as a text.`)
  return value === ""
    ? wrong(`the field ${field} of the secret ${name} is empty. Write the secret into it.`)
    : Effect.succeed(Redacted.make(value))
}

/**
 * Resolves the references of connector files: `${env:NAME}`, `${file:path}`, `${vault:path#field}` (HashiCorp Vault, KV),
 * `${aws:name#field}` (AWS Secrets Manager) and `${gcp:name#field}` (Google Secret Manager). Without `#field` the whole secret is
 * meant. A secret that was changed is used without a restart.
 */
export class Secrets extends Context.Service<
  Secrets,
  {
    /** Resolves one reference. `base` is the folder that relative paths start from. */
    readonly secret: (reference: string, base: string) => Effect.Effect<Redacted.Redacted<string>, SecretError>
    /** Replaces every reference inside a setting that is not secret (an address, a header). */
    readonly text: (template: string, base: string) => Effect.Effect<string, SecretError>
    /**
     * Asks the stores again for what the references in this text name, and says whether any of it has changed, or else whether any
     * store did not tell: to be called when it was refused. What was read in the last 5 seconds is not asked for again, unless
     * `isForced`. Environment and files are looked at each time anyway.
     */
    readonly renew: (template: string, options?: { readonly isForced?: boolean }) => Effect.Effect<Renewal>
  }
>()("@tributary/secrets/Secrets") {
  /**
   * A trailing line break of a file does not belong to the secret, and a file is read again when it changes. Stores are asked
   * once in `TRIBUTARY_SECRETS_TTL` (5 minutes) at most, with a client that is loaded with the first reference to it. A store that
   * is away does not stop what knows its secrets already.
   */
  static readonly layer = Layer.effect(
    Secrets,
    Effect.gen(function* () {
      const environment = yield* Environment
      const context = yield* Effect.context<never>()
      const scope = yield* Effect.scope
      const fromFile = makeFileSecrets()
      const stores = new Map(
        storeKinds.map((kind) => {
          const open = secretStore(kind).pipe(Effect.provide(context), Effect.provideService(Scope.Scope, scope))
          return [kind, makeCachedStore(open, Effect.provide(life, context), scope)] as const
        })
      )

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

      const fromStore = Effect.fnUntraced(function* (reference: string, { field, kind, name }: Parts) {
        const store = isStoreKind(kind) ? stores.get(kind) : undefined
        if (store === undefined) return yield* new SecretError({ reference, problem: `there is no store ${kind}.` })
        const secret = yield* Effect.mapError(
          store.read(name),
          ({ failureClass, message }) => new SecretError({ reference, problem: message, failureClass })
        )
        return field === undefined ? secret : yield* fieldOf(reference, name, field, secret)
      })

      const one = (reference: string, body: string, base: string) => {
        const parts = partsOf(body)
        if (parts.name !== "") {
          if (parts.kind === "env") return fromEnvironment(reference, parts.name)
          if (parts.kind === "file") return fromFile(reference, parts.name, base)
          if (isStoreKind(parts.kind)) return fromStore(reference, parts)
        }
        return new SecretError({ reference, problem: `this is no reference that is known. Write ${kinds}.` })
      }

      const secret = (reference: string, base: string) => {
        const body = wholeReference.exec(reference)?.[1]
        if (body !== undefined) return one(reference, body, base)
        // What stands here may be the secret itself, so it is not shown.
        const problem = `a secret is written as a reference, never as itself: ${kinds}.`
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

      const renew = Effect.fnUntraced(function* (template: string, options?: { readonly isForced?: boolean }) {
        const asked = new Set<string>()
        const found = new Set<Renewal>()
        for (const [, body = ""] of template.matchAll(anyReference)) {
          const { kind, name } = partsOf(body)
          if (!isStoreKind(kind) || asked.has(`${kind}:${name}`)) continue
          asked.add(`${kind}:${name}`)
          const store = stores.get(kind)
          if (store !== undefined) found.add(yield* store.renew(name, options?.isForced === true))
        }
        return (["changed", "unknown"] as const).find((one) => found.has(one)) ?? "unchanged"
      })

      return Secrets.of({ secret, text, renew })
    })
  )
}
