import type { OAuth2 } from "@tributary/domain"
import { Effect, Redacted } from "effect"
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto"
import type { CryptoKey } from "oauth4webapi"

type Algorithm = NonNullable<NonNullable<OAuth2["client_key"]>["algorithm"]>

/** A private key that is ready to sign, with what its file says beside it. */
export interface SigningKey {
  readonly key: CryptoKey
  /** Can be exported; what a proof shows (RFC 9449). */
  readonly publicKey: CryptoKey
  /** As it stands in the header of what is signed. */
  readonly algorithm: Algorithm
  readonly keyId: string | undefined
  /** Whose key it is, where a Google service account's file says so. */
  readonly owner: string | undefined
}

const shape = (text: string) => (text.trimStart().startsWith("{") ? "json" : "pem")

const stringOf = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined)

const curves: Readonly<Record<string, readonly [Algorithm, string]>> = {
  prime256v1: ["ES256", "P-256"],
  secp384r1: ["ES384", "P-384"],
  secp521r1: ["ES512", "P-521"]
}

/** What the algorithm is called in Web Crypto; `undefined`: the key cannot be used for it. */
const parametersFor = (key: KeyObject, wanted: Algorithm | undefined) => {
  switch (key.asymmetricKeyType) {
    case "rsa":
    case "rsa-pss": {
      const algorithm = wanted ?? (key.asymmetricKeyType === "rsa" ? "RS256" : "PS256")
      if (!/^[RP]S/u.test(algorithm)) return undefined
      const name = algorithm.startsWith("R") ? "RSASSA-PKCS1-v1_5" : "RSA-PSS"
      return { algorithm, parameters: { name, hash: `SHA-${algorithm.slice(2)}` } }
    }
    case "ec": {
      const [algorithm, namedCurve] = curves[key.asymmetricKeyDetails?.namedCurve ?? ""] ?? []
      if (algorithm === undefined || namedCurve === undefined || (wanted ?? algorithm) !== algorithm) return undefined
      return { algorithm, parameters: { name: "ECDSA", namedCurve } }
    }
    case "ed25519": {
      const algorithm = wanted ?? "EdDSA"
      return algorithm === "EdDSA" || algorithm === "Ed25519"
        ? { algorithm, parameters: { name: "Ed25519" } }
        : undefined
    }
    default:
      return undefined
  }
}

const read = (text: string) => {
  if (shape(text) === "pem") return { key: createPrivateKey(text), keyId: undefined, owner: undefined }
  const json: unknown = JSON.parse(text)
  const fields: Readonly<Record<string, unknown>> = typeof json === "object" && json !== null ? { ...json } : {}
  const pem = stringOf(fields["private_key"])
  return pem === undefined
    ? { key: createPrivateKey({ key: fields, format: "jwk" }), keyId: stringOf(fields["kid"]), owner: undefined }
    : { key: createPrivateKey(pem), keyId: stringOf(fields["private_key_id"]), owner: stringOf(fields["client_email"]) }
}

/**
 * Reads a private key: PEM (PKCS#8, PKCS#1, SEC 1), a JSON Web Key, or a Google service account's key file. Fails with what is
 * wrong, in words that hold nothing of the key.
 */
export const readSigningKey = (
  secret: Redacted.Redacted<string>,
  wanted: Algorithm | undefined
): Effect.Effect<SigningKey, string> =>
  Effect.gen(function* () {
    const text = Redacted.value(secret)
    const found = yield* Effect.try({
      try: () => read(text),
      // What the library says may quote what it was given.
      catch: () =>
        /ENCRYPTED/u.test(text)
          ? "is encrypted with a passphrase; decrypt it, and protect the file instead."
          : /CERTIFICATE|PUBLIC KEY/u.test(text) && !/PRIVATE/u.test(text)
            ? "is a certificate or a public key; refer to the private key."
            : "is no private key; expected PEM (-----BEGIN PRIVATE KEY-----), a JSON Web Key or a Google service account's key file."
    })
    const usable = parametersFor(found.key, wanted)
    if (usable === undefined) {
      const { asymmetricKeyDetails, asymmetricKeyType } = found.key
      const kind = [asymmetricKeyType, asymmetricKeyDetails?.namedCurve].filter((part) => part !== undefined).join(" ")
      return yield* Effect.fail(
        `is of the kind ${kind}, which ${wanted ?? "no known algorithm"} cannot use; give another key or algorithm.`
      )
    }
    const { algorithm, parameters } = usable
    return yield* Effect.try({
      try: (): SigningKey => ({
        key: found.key.toCryptoKey(parameters, false, ["sign"]),
        publicKey: createPublicKey(found.key).toCryptoKey(parameters, true, ["verify"]),
        algorithm,
        keyId: found.keyId,
        owner: found.owner
      }),
      catch: () => `cannot be used for ${algorithm}; give another key or algorithm.`
    })
  })

/** The thumbprint of a certificate (PEM) as `x5t#S256` holds it (RFC 7515, section 4.1.8). */
export const certificateThumbprint = (pem: Redacted.Redacted<string>): Effect.Effect<string, string> =>
  Effect.try({
    try: () =>
      Buffer.from(new X509Certificate(Redacted.value(pem)).fingerprint256.replaceAll(":", ""), "hex").toString(
        "base64url"
      ),
    catch: () => "is no certificate; expected PEM (-----BEGIN CERTIFICATE-----)."
  })
