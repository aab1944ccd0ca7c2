import type { LogError, Offset } from "@tributary/log"
import { Effect } from "effect"
import { invalid } from "./KafkaFault.ts"

/** Kafka's default (`offset.metadata.max.bytes`, which counts UTF-16 units). */
const maxMetadata = 4096

/** Refuses a commit that the broker would not take, or would not give back as it was. */
export const checkCommit = (offset: Offset, metadata: string): Effect.Effect<void, LogError> => {
  if (!Number.isSafeInteger(offset) || offset < 0)
    return Effect.fail(invalid(`The offset to commit must be a whole number from 0 on, found ${offset}.`))
  if (metadata.length > maxMetadata)
    return Effect.fail(
      invalid(`The metadata of a commit has ${metadata.length} characters; at most ${maxMetadata} are accepted.`)
    )
  if (!metadata.isWellFormed())
    return Effect.fail(invalid("The metadata of a commit is not Unicode text (it has half a surrogate pair)."))
  return Effect.void
}
