import type { Offset, TopicInfo } from "./Log.ts"
import { InvalidRequest, LogError, UnknownTopic } from "./LogError.ts"
import { integer, integerOrNull, type Row, type SqliteFile, text } from "./SqliteFile.ts"

/** A partition and its state as of the last commit. */
export interface Partition {
  /** Row id; unique over all topics, deleted ones included. */
  readonly id: number
  readonly topic: Topic
  readonly index: number
  earliest: Offset
  end: Offset
  /** Size of its batches. Not kept for compacted topics. */
  bytes: number
}

export interface Topic {
  readonly row: number
  readonly name: string
  readonly id: string
  readonly compacted: boolean
  retentionMillis: number | undefined
  retentionBytes: number | undefined
  readonly partitions: Array<Partition>
}

export const infoOf = (topic: Topic): TopicInfo => ({
  name: topic.name,
  id: topic.id,
  partitions: topic.partitions.length,
  compacted: topic.compacted
})

/** Looks up topics; the writer has them in memory, a reader of another process in the database. */
export interface Catalog {
  /** Throws `LogError` with `UnknownTopic`. */
  readonly topic: (name: string) => Topic
  readonly all: () => ReadonlyArray<Topic>
}

export const unknownTopic = (topic: string): LogError => new LogError({ reason: new UnknownTopic({ topic }) })
export const invalid = (detail: string): LogError => new LogError({ reason: new InvalidRequest({ detail }) })

/** Throws `LogError`. */
export const partitionAt = (topic: Topic, index: number): Partition => {
  const partition = topic.partitions[index]
  if (partition === undefined)
    throw invalid(`Topic ${topic.name} has no partition ${index}; it has ${topic.partitions.length}, numbered from 0.`)
  return partition
}

/** Raised when the tables change in a way that older code would misread. */
const schemaVersion = 1
/** "Trib", so that `file` and people can tell whose database it is. */
const applicationId = 0x54726962

const schema = `
CREATE TABLE topics (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  uuid TEXT NOT NULL UNIQUE,
  compacted INTEGER NOT NULL,
  retention_millis INTEGER,
  retention_bytes INTEGER,
  -- Deleted, but its records are still being removed.
  dropped INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX topics_by_name ON topics (name) WHERE dropped = 0;
CREATE TABLE partitions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  topic INTEGER NOT NULL,
  number INTEGER NOT NULL,
  earliest INTEGER NOT NULL,
  end INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  UNIQUE (topic, number)
) STRICT;
-- Ordinary topics. The records come last, so that a look at the other columns does not read them.
CREATE TABLE batches (
  id INTEGER PRIMARY KEY,
  partition INTEGER NOT NULL,
  base INTEGER NOT NULL,
  count INTEGER NOT NULL,
  timestamp INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  records BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX batches_by_offset ON batches (partition, base);
-- Compacted topics: each record is a batch of one.
CREATE TABLE keyed (
  id INTEGER PRIMARY KEY,
  partition INTEGER NOT NULL,
  key BLOB NOT NULL,
  offset INTEGER NOT NULL,
  timestamp INTEGER NOT NULL,
  tombstone INTEGER NOT NULL,
  records BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX keyed_by_key ON keyed (partition, key);
CREATE UNIQUE INDEX keyed_by_offset ON keyed (partition, offset);
CREATE INDEX tombstones ON keyed (timestamp) WHERE tombstone = 1;
CREATE TABLE producers (id TEXT PRIMARY KEY, epoch INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE groups (name TEXT PRIMARY KEY, generation INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE claims (
  group_name TEXT NOT NULL,
  partition INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  PRIMARY KEY (group_name, partition)
) STRICT, WITHOUT ROWID;
CREATE TABLE positions (
  group_name TEXT NOT NULL,
  partition INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  metadata TEXT NOT NULL,
  PRIMARY KEY (group_name, partition)
) STRICT, WITHOUT ROWID;
`

/** Checks that the tables are those that this code knows; `undefined` when they are, else what is wrong. */
export const schemaProblem = (file: SqliteFile): string | undefined => {
  const id = integer(file.get("PRAGMA application_id") ?? {}, "application_id")
  const version = integer(file.get("PRAGMA user_version") ?? {}, "user_version")
  if (id !== applicationId) return "it is a database of another program. Choose another directory with --data."
  return version === schemaVersion
    ? undefined
    : `its format is version ${version}, and this program knows version ${schemaVersion}. Use the Tributary release that wrote it, or a later one.`
}

/** Makes the tables in a new file; leaves a file with tables alone. */
export const makeSchema = (file: SqliteFile): void => {
  const tables = integer(file.get("SELECT count(*) AS n FROM sqlite_schema") ?? {}, "n")
  if (tables > 0) return
  file.transaction(0, () => {
    file.exec(schema)
    file.exec(`PRAGMA application_id = ${applicationId}`)
    file.exec(`PRAGMA user_version = ${schemaVersion}`)
  })
}

const toTopic = (row: Row): Topic => ({
  row: integer(row, "id"),
  name: text(row, "name"),
  id: text(row, "uuid"),
  compacted: integer(row, "compacted") === 1,
  retentionMillis: integerOrNull(row, "retention_millis"),
  retentionBytes: integerOrNull(row, "retention_bytes"),
  partitions: []
})

const addPartitions = (topic: Topic, rows: ReadonlyArray<Row>): Topic => {
  for (const row of rows) {
    topic.partitions.push({
      id: integer(row, "id"),
      topic,
      index: integer(row, "number"),
      earliest: integer(row, "earliest"),
      end: integer(row, "end"),
      bytes: integer(row, "bytes")
    })
  }
  return topic
}

const selectTopics = "SELECT id, name, uuid, compacted, retention_millis, retention_bytes FROM topics WHERE dropped = 0"
const selectPartitions = "SELECT id, number, earliest, end, bytes FROM partitions WHERE topic = ? ORDER BY number"

/** Reads the catalog from the database at each call. */
export const storedCatalog = (file: SqliteFile): Catalog => {
  const complete = (row: Row): Topic => {
    const topic = toTopic(row)
    return addPartitions(topic, file.all(selectPartitions, topic.row))
  }
  return {
    topic: (name) => {
      const row = file.get(`${selectTopics} AND name = ?`, name)
      if (row === undefined) throw unknownTopic(name)
      return complete(row)
    },
    all: () => file.all(`${selectTopics} ORDER BY name`).map(complete)
  }
}
