import { DecryptCommand, EncryptCommand, KMSClient } from "@aws-sdk/client-kms"
import { Effect, Redacted } from "effect"
import { limited, placeTimeout } from "../limited.ts"
import { PlaceError } from "../PlaceError.ts"
import { type WrappingKey, wrappingPurpose } from "../WrappingKey.ts"
import { awsFailure } from "./awsFailure.ts"
import { clientOptions } from "./clientOptions.ts"

/** Has to be the same for encrypting and decrypting, and is in CloudTrail in clear. */
const EncryptionContext = { purpose: wrappingPurpose }

/**
 * A symmetric key of AWS KMS, by key id, ARN, or `alias/name`. Credentials need `kms:Encrypt` and `kms:Decrypt`. What an alias named
 * when it was used stays readable when it names another key: the wrapped key says itself which one it needs.
 */
export const kmsKey = Effect.fnUntraced(function* (name: string) {
  const timeout = yield* placeTimeout
  const place = `AWS KMS, key ${name}`
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => new KMSClient(clientOptions(name))),
    (client) => Effect.sync(() => client.destroy())
  )
  const isAlias = /(^|:)alias\//.test(name)
  const strange = new PlaceError({ place, problem: "its answer holds no key.", failureClass: "transient" })

  return {
    id: `aws:${name}`,
    isHere: false,
    wrap: (dataKey) =>
      Effect.tryPromise({
        try: (abortSignal) =>
          client.send(new EncryptCommand({ KeyId: name, Plaintext: Redacted.value(dataKey), EncryptionContext }), {
            abortSignal
          }),
        catch: awsFailure(place, "kms:Encrypt")
      }).pipe(
        Effect.flatMap(({ CiphertextBlob }) =>
          CiphertextBlob === undefined ? strange : Effect.succeed(CiphertextBlob)
        ),
        limited(place, timeout)
      ),
    unwrap: (wrapped) =>
      Effect.tryPromise({
        try: (abortSignal) =>
          client.send(
            new DecryptCommand({ CiphertextBlob: wrapped, EncryptionContext, ...(isAlias ? {} : { KeyId: name }) }),
            { abortSignal }
          ),
        catch: awsFailure(place, "kms:Decrypt")
      }).pipe(
        Effect.flatMap(({ Plaintext }) =>
          Plaintext === undefined ? strange : Effect.succeed(Redacted.make(Plaintext))
        ),
        limited(place, timeout)
      )
  } satisfies WrappingKey
})
