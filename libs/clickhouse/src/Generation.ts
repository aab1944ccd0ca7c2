import { randomUUID } from "node:crypto"

/**
 * Generation of a table: an identifier that Tributary writes into the comment of each table that it makes. A table that was
 * dropped and made again has another one, and so no position of the first counts for it. Unlike a table's UUID it is the same on
 * all replicas.
 */
const pattern = /Tributary generation ([0-9a-f-]{36})/u

export const newGenerationComment = (): string => `Loaded by Tributary; Tributary generation ${randomUUID()}`

/** The generation that a table's comment names; `undefined` for a table that somebody else made. */
export const generationOf = (comment: string): string | undefined => pattern.exec(comment)?.[1]

/** The text by which a comment of that generation is known, and one of any. */
export const generationText = (generation: string): string => `Tributary generation ${generation}`
export const anyGenerationText = "Tributary generation "
