import { Config, Effect, Option, Redacted, Schema } from "effect"
import { limited, placeTimeout, wrongSetting } from "../limited.ts"
import { PlaceError } from "../PlaceError.ts"
import { type WrappingKey, wrappingPurpose } from "../WrappingKey.ts"
import { crc32c } from "./crc32c.ts"
import { damaged, makeGoogleClient } from "./GoogleClient.ts"

const Encrypted = Schema.Struct({
  ciphertext: Schema.String,
  ciphertextCrc32c: Schema.optional(Schema.String),
  verifiedPlaintextCrc32c: Schema.optional(Schema.Boolean),
  verifiedAdditionalAuthenticatedDataCrc32c: Schema.optional(Schema.Boolean)
})
const decodeEncrypted = Schema.decodeUnknownOption(Encrypted)
const Decrypted = Schema.Struct({ plaintext: Schema.String, plaintextCrc32c: Schema.optional(Schema.String) })
const decodeDecrypted = Schema.decodeUnknownOption(Decrypted)

const endpoint = Config.option(Config.String("CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDKMS"))

const fullName = /^projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/]+$/
const purpose = Buffer.from(wrappingPurpose)

/**
 * A symmetric key of Google Cloud KMS, by its full name. The service account needs `cloudkms.cryptoKeyVersions.useToEncrypt` and
 * `useToDecrypt`. Every value travels with its CRC-32C, which both ends check
 * (https://cloud.google.com/kms/docs/data-integrity-guidelines).
 */
export const cloudKmsKey = Effect.fnUntraced(function* (name: string) {
  const timeout = yield* placeTimeout
  const place = `Google Cloud KMS, key ${name}`
  if (!fullName.test(name)) {
    return yield* new PlaceError({
      place,
      problem: "this names no key. Write projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>.",
      failureClass: "misconfigured"
    })
  }
  const root = Option.getOrElse(
    yield* Effect.mapError(endpoint, wrongSetting),
    () => "https://cloudkms.googleapis.com"
  ).replace(/\/+$/, "")
  const { ask } = yield* makeGoogleClient
  const call = (action: "encrypt" | "decrypt", body: object) =>
    ask(
      place,
      `cloudkms.cryptoKeyVersions.useTo${action === "encrypt" ? "Encrypt" : "Decrypt"} (Cloud KMS CryptoKey Encrypter/Decrypter)`,
      `${root}/v1/${name}:${action}`,
      Redacted.make(body)
    )
  const context = {
    additionalAuthenticatedData: purpose.toString("base64"),
    additionalAuthenticatedDataCrc32c: crc32c(purpose)
  }
  const strange = new PlaceError({ place, problem: "its answer holds no key.", failureClass: "transient" })

  const wrap = Effect.fnUntraced(function* (dataKey: Redacted.Redacted<Uint8Array>) {
    const bytes = Redacted.value(dataKey)
    const answer = decodeEncrypted(
      Redacted.value(
        yield* call("encrypt", {
          plaintext: Buffer.from(bytes).toString("base64"),
          plaintextCrc32c: crc32c(bytes),
          ...context
        })
      )
    )
    if (Option.isNone(answer)) return yield* strange
    const { ciphertext, ciphertextCrc32c, verifiedAdditionalAuthenticatedDataCrc32c, verifiedPlaintextCrc32c } =
      answer.value
    const wrapped = Buffer.from(ciphertext, "base64")
    // What Google could not verify it did not receive as it was sent.
    const isVerified = verifiedPlaintextCrc32c === true && verifiedAdditionalAuthenticatedDataCrc32c === true
    return isVerified && ciphertextCrc32c === crc32c(wrapped) ? wrapped : yield* damaged(place)
  })

  const unwrap = Effect.fnUntraced(function* (wrapped: Uint8Array) {
    const answer = decodeDecrypted(
      Redacted.value(
        yield* call("decrypt", {
          ciphertext: Buffer.from(wrapped).toString("base64"),
          ciphertextCrc32c: crc32c(wrapped),
          ...context
        })
      )
    )
    if (Option.isNone(answer)) return yield* strange
    const bytes = Buffer.from(answer.value.plaintext, "base64")
    return answer.value.plaintextCrc32c === crc32c(bytes) ? Redacted.make<Uint8Array>(bytes) : yield* damaged(place)
  })

  return {
    id: `gcp:${name}`,
    isHere: false,
    wrap: (dataKey) => limited(place, timeout)(wrap(dataKey)),
    unwrap: (wrapped) => limited(place, timeout)(unwrap(wrapped))
  } satisfies WrappingKey
})
