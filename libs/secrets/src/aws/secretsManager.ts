import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager"
import { Effect, Redacted, Scope } from "effect"
import { limited, placeTimeout } from "../limited.ts"
import { PlaceError } from "../PlaceError.ts"
import type { SecretStore } from "../SecretStore.ts"
import { awsFailure } from "./awsFailure.ts"
import { clientOptions } from "./clientOptions.ts"

/** Secrets of AWS Secrets Manager, by name or ARN; an ARN is read in its own region. The current version (`AWSCURRENT`) is read. */
export const secretsManager = Effect.gen(function* () {
  const timeout = yield* placeTimeout
  const scope = yield* Effect.scope
  const clients = new Map<string, SecretsManagerClient>()

  const clientFor = Effect.fnUntraced(function* (name: string) {
    const options = clientOptions(name)
    const region = options.region ?? ""
    const known = clients.get(region)
    if (known !== undefined) return known
    const client = new SecretsManagerClient(options)
    clients.set(region, client)
    yield* Scope.addFinalizer(
      scope,
      Effect.sync(() => client.destroy())
    )
    return client
  })

  const read: SecretStore["read"] = Effect.fnUntraced(function* (name) {
    const place = `AWS Secrets Manager, secret ${name}`
    const client = yield* clientFor(name)
    const answer = yield* Effect.tryPromise({
      try: (abortSignal) => client.send(new GetSecretValueCommand({ SecretId: name }), { abortSignal }),
      catch: awsFailure(place, "secretsmanager:GetSecretValue (and kms:Decrypt, if it has a key of yours)")
    }).pipe(
      Effect.map(({ SecretBinary, SecretString }) => Redacted.make({ text: SecretString, bytes: SecretBinary })),
      limited(place, timeout)
    )
    const { bytes, text } = Redacted.value(answer)
    if (text !== undefined && text !== "") return Redacted.make(text)
    return yield* Effect.try({
      try: () => Redacted.make(new TextDecoder("utf-8", { fatal: true }).decode(bytes)),
      catch: () =>
        new PlaceError({
          place,
          problem: "it is binary, and no UTF-8 text. Store the secret as text.",
          failureClass: "misconfigured"
        })
    })
  })
  return { read } satisfies SecretStore
})
