import { Effect, Option, Redacted, Schema } from "effect"
import { limited, placeTimeout } from "../limited.ts"
import { PlaceError } from "../PlaceError.ts"
import type { WrappingKey } from "../WrappingKey.ts"
import { makeHashicorpClient, type Question, refusalToError } from "./HashicorpClient.ts"

const decodeEncrypted = Schema.decodeUnknownOption(
  Schema.Struct({ data: Schema.Struct({ ciphertext: Schema.String }) })
)
const decodeDecrypted = Schema.decodeUnknownOption(Schema.Struct({ data: Schema.Struct({ plaintext: Schema.String }) }))

/**
 * A key of HashiCorp Vault's transit engine: `transit/tributary` is the key `tributary` of the engine at `transit/`. The token needs
 * `update` on `transit/encrypt/tributary` and `transit/decrypt/tributary`.
 */
export const transitKey = Effect.fnUntraced(function* (name: string) {
  const timeout = yield* placeTimeout
  const cut = name.lastIndexOf("/")
  const [mount, key] = [name.slice(0, cut), name.slice(cut + 1)]
  if (cut < 1 || key === "") {
    return yield* new PlaceError({
      place: `vault:${name}`,
      problem: "this names no key of the transit engine. Write the engine and the key, as in vault:transit/tributary.",
      failureClass: "misconfigured"
    })
  }
  const client = yield* makeHashicorpClient
  const place = `${client.name}, transit key ${name}`

  const ask = (action: "encrypt" | "decrypt", body: Redacted.Redacted<object>) => {
    const question: Question = { method: "POST", path: `${mount}/${action}/${encodeURIComponent(key)}`, body }
    return limited(
      place,
      timeout
    )(
      client
        .ask(place, question)
        .pipe(Effect.catchTag("Refusal", (refusal) => refusalToError(place, refusal, `update on ${question.path}`)))
    )
  }
  const strange = new PlaceError({
    place,
    problem: "its answer is not one of the transit engine. Check the path.",
    failureClass: "misconfigured"
  })

  return {
    id: `vault:${name}`,
    isHere: false,
    wrap: Effect.fnUntraced(function* (dataKey) {
      const plaintext = Buffer.from(Redacted.value(dataKey)).toString("base64")
      const answer = decodeEncrypted(Redacted.value(yield* ask("encrypt", Redacted.make({ plaintext }))))
      return Option.isNone(answer) ? yield* strange : Buffer.from(answer.value.data.ciphertext)
    }),
    unwrap: Effect.fnUntraced(function* (wrapped) {
      const ciphertext = Buffer.from(wrapped).toString()
      const answer = decodeDecrypted(Redacted.value(yield* ask("decrypt", Redacted.make({ ciphertext }))))
      return Option.isNone(answer)
        ? yield* strange
        : Redacted.make<Uint8Array>(Buffer.from(answer.value.data.plaintext, "base64"))
    })
  } satisfies WrappingKey
})
