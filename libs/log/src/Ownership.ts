import type { Claim, Committed, Offset } from "./Log.ts"
import { Fenced, LogError } from "./LogError.ts"
import { invalid, type Partition } from "./Catalog.ts"
import { integer, type SqliteFile, text } from "./SqliteFile.ts"

/** Metadata of a commit is limited as Kafka's default (`offset.metadata.max.bytes`, which counts UTF-16 units). */
const maxMetadata = 4096

/** What a claim stands for. The database has the same generation as long as the claim is good. */
export interface Ownership {
  readonly group: string
  readonly partition: Partition
  readonly generation: number
  /** The work has ended, so the claim is over whoever owns the partition. */
  ended: boolean
}

const ownership: unique symbol = Symbol("@tributary/log/ownership")

/** A claim of this engine. A symbol and not a class, so that a copy that a caller has extended is still a claim. */
export interface OwnedClaim extends Claim {
  readonly [ownership]: Ownership
}

export const owned = (claim: Claim, held: Ownership): OwnedClaim => ({ ...claim, [ownership]: held })

const isOwned = (claim: Claim): claim is OwnedClaim => ownership in claim

/** Throws `LogError` when the claim is of another kind of log. */
export const ownershipOf = (claim: Claim): Ownership => {
  if (!isOwned(claim)) throw invalid("The claim of the transaction was not made by this log.")
  return claim[ownership]
}

const fenced = ({ group, partition }: Ownership): LogError =>
  new LogError({
    reason: new Fenced({ what: `Partition ${partition.topic.name}/${partition.index} of group ${group}` })
  })

/**
 * Throws `LogError` with `Fenced` when the claim is over. The database is asked, so a claim of an earlier process or layer is
 * refused too; so is one of another data directory, by the topic's id.
 */
export const checkOwner = (file: SqliteFile, held: Ownership): void => {
  const row = held.ended
    ? undefined
    : file.get(
        `SELECT claims.generation FROM claims
         JOIN partitions ON partitions.id = claims.partition JOIN topics ON topics.id = partitions.topic
         WHERE claims.group_name = ? AND claims.partition = ? AND topics.uuid = ?`,
        held.group,
        held.partition.id,
        held.partition.topic.id
      )
  if (row === undefined || integer(row, "generation") !== held.generation) throw fenced(held)
}

export const readCommitted = (file: SqliteFile, held: Ownership): Committed | undefined => {
  const row = file.get(
    "SELECT offset, metadata FROM positions WHERE group_name = ? AND partition = ?",
    held.group,
    held.partition.id
  )
  return row && { offset: integer(row, "offset"), metadata: text(row, "metadata") }
}

/** Refuses what cannot be stored. Throws `LogError`. */
export const checkCommit = (offset: Offset, metadata: string): void => {
  if (!Number.isSafeInteger(offset) || offset < 0)
    throw invalid(`The offset to commit must be a whole number from 0 on, found ${offset}.`)
  if (metadata.length > maxMetadata)
    throw invalid(`The metadata of a commit has ${metadata.length} characters; at most ${maxMetadata} are accepted.`)
  if (!metadata.isWellFormed())
    throw invalid("The metadata of a commit is not Unicode text (it has half a surrogate pair).")
}

/** Stores a position; to be called inside a transaction, after `checkOwner`. */
export const writeCommit = (file: SqliteFile, held: Ownership, offset: Offset, metadata: string): void => {
  file.run(
    `INSERT INTO positions (group_name, partition, offset, metadata) VALUES (?, ?, ?, ?)
     ON CONFLICT (group_name, partition) DO UPDATE SET offset = excluded.offset, metadata = excluded.metadata`,
    held.group,
    held.partition.id,
    offset,
    metadata
  )
}
