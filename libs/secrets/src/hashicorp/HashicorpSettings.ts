import { Config, Effect, Option, Redacted } from "effect"
import { readFile } from "node:fs/promises"
import { PlaceError } from "../PlaceError.ts"

/** How this process shows HashiCorp Vault who it is. */
export type Login =
  | { readonly method: "token"; readonly token: Effect.Effect<Redacted.Redacted<string>, PlaceError> }
  | {
      readonly method: "approle"
      readonly mount: string
      readonly roleId: string
      readonly secretId: Effect.Effect<Redacted.Redacted<string>, PlaceError>
    }
  | {
      readonly method: "kubernetes"
      readonly mount: string
      readonly role: string
      readonly jwt: Effect.Effect<Redacted.Redacted<string>, PlaceError>
    }

export interface HashicorpSettings {
  /** Ends without a slash. */
  readonly address: string
  readonly namespace: string | undefined
  /** PEM. */
  readonly ca: string | undefined
  readonly login: Login
}

/** VAULT_ADDR and the like are the names that Vault's own programs read. */
const settings = Config.all({
  address: Config.option(Config.String("VAULT_ADDR")),
  namespace: Config.option(Config.String("VAULT_NAMESPACE")),
  caFile: Config.option(Config.String("VAULT_CACERT")),
  token: Config.option(Config.Redacted("VAULT_TOKEN")),
  tokenFile: Config.option(Config.String("TRIBUTARY_HASHICORP_TOKEN_FILE")),
  method: Config.option(Config.Literals(["token", "approle", "kubernetes"], "TRIBUTARY_HASHICORP_AUTH")),
  mount: Config.option(Config.String("TRIBUTARY_HASHICORP_AUTH_MOUNT")),
  roleId: Config.option(Config.String("TRIBUTARY_HASHICORP_ROLE_ID")),
  secretId: Config.option(Config.Redacted("TRIBUTARY_HASHICORP_SECRET_ID")),
  secretIdFile: Config.option(Config.String("TRIBUTARY_HASHICORP_SECRET_ID_FILE")),
  role: Config.option(Config.String("TRIBUTARY_HASHICORP_ROLE")),
  jwtFile: Config.String("TRIBUTARY_HASHICORP_JWT_FILE").pipe(
    Config.withDefault("/var/run/secrets/kubernetes.io/serviceaccount/token")
  )
})

const name = "HashiCorp Vault"

const misconfigured = (problem: string) => new PlaceError({ place: name, problem, failureClass: "misconfigured" })

/** Read anew each time: what writes the file, such as Vault's agent or Kubernetes, replaces it. */
const fromFile = (path: string, what: string) =>
  Effect.tryPromise({
    try: async () => (await readFile(path, "utf8")).trim(),
    catch: (error) => {
      const code = error instanceof Error && "code" in error ? String(error.code) : "unknown"
      return misconfigured(`the file ${path} with ${what} cannot be read (${code}). Create it, or correct its path.`)
    }
  }).pipe(
    Effect.flatMap((text) =>
      text === "" ? misconfigured(`the file ${path} with ${what} is empty.`) : Effect.succeed(Redacted.make(text))
    )
  )

type Given = Config.Success<typeof settings>

const loginOf = (given: Given): Effect.Effect<Login, PlaceError> => {
  const method = Option.getOrElse(given.method, () =>
    Option.isSome(given.token) || Option.isSome(given.tokenFile)
      ? "token"
      : Option.isSome(given.roleId)
        ? "approle"
        : Option.isSome(given.role)
          ? "kubernetes"
          : undefined
  )
  const mount = Option.getOrElse(given.mount, () => method ?? "")
  switch (method) {
    case "token": {
      if (Option.isSome(given.tokenFile)) {
        return Effect.succeed({ method, token: fromFile(given.tokenFile.value, "the token") })
      }
      if (Option.isSome(given.token)) return Effect.succeed({ method, token: Effect.succeed(given.token.value) })
      return misconfigured(
        "no token is given. Set VAULT_TOKEN, or TRIBUTARY_HASHICORP_TOKEN_FILE to a file that holds it."
      )
    }
    case "approle": {
      if (Option.isNone(given.roleId)) return misconfigured("AppRole needs a role. Set TRIBUTARY_HASHICORP_ROLE_ID.")
      const roleId = given.roleId.value
      if (Option.isSome(given.secretIdFile)) {
        return Effect.succeed({ method, mount, roleId, secretId: fromFile(given.secretIdFile.value, "the secret id") })
      }
      if (Option.isSome(given.secretId)) {
        return Effect.succeed({ method, mount, roleId, secretId: Effect.succeed(given.secretId.value) })
      }
      return misconfigured(
        "AppRole needs a secret id. Set TRIBUTARY_HASHICORP_SECRET_ID, or TRIBUTARY_HASHICORP_SECRET_ID_FILE to a file that holds it."
      )
    }
    case "kubernetes":
      return Option.isNone(given.role)
        ? misconfigured("Kubernetes authentication needs a role. Set TRIBUTARY_HASHICORP_ROLE.")
        : Effect.succeed({
            method,
            mount,
            role: given.role.value,
            jwt: fromFile(given.jwtFile, "the service account's token")
          })
    case undefined:
      return misconfigured(
        "nothing says how to log in. Set VAULT_TOKEN, or TRIBUTARY_HASHICORP_ROLE_ID and TRIBUTARY_HASHICORP_SECRET_ID (AppRole), or TRIBUTARY_HASHICORP_ROLE (Kubernetes)."
      )
  }
}

/** Reads and checks the settings; asks nobody. */
export const hashicorpSettings = Effect.gen(function* () {
  const given = yield* settings.pipe(
    Effect.mapError((error) => misconfigured(`its settings cannot be read: ${error.message}`))
  )
  if (Option.isNone(given.address) || given.address.value.trim() === "") {
    return yield* misconfigured(
      "it is not configured. Set VAULT_ADDR to its address, as in https://vault.example:8200."
    )
  }
  const url = URL.parse(given.address.value)
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
    return yield* misconfigured(
      "VAULT_ADDR is not an address. Write it as https://vault.example:8200, without credentials."
    )
  }
  const result: HashicorpSettings = {
    address: url.href.replace(/\/+$/, "").replace(/\/v1$/, ""),
    namespace: Option.getOrUndefined(given.namespace),
    ca: Option.isNone(given.caFile)
      ? undefined
      : Redacted.value(yield* fromFile(given.caFile.value, "the authorities to trust (VAULT_CACERT)")),
    login: yield* loginOf(given)
  }
  return result
})
