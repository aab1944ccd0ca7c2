import { Schema } from "effect"
import { Flag } from "effect/cli"

/** A flag that counts something. */
export const countOf = (name: string) => Flag.Int(name).pipe(Flag.withSchema(Schema.Natural))
