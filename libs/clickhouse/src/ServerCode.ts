import {
  BadRecord,
  Busy,
  Misconfigured,
  NoSpace,
  OutOfMemory,
  Unavailable,
  Unexpected,
  type WarehouseError
} from "./WarehouseError.ts"

type Reason = WarehouseError["reason"]

interface Answer {
  readonly code: number
  readonly name: string
  readonly detail: string
}

/** The text that the insert's own deadline check throws. */
export const planTooOldText = "plan too old"
/** The text that it throws when the table is another one than the position was committed for. */
export const tableReplacedText = "table made anew"

/** Answers after which the same request may succeed. The outcome of an insert is not known. */
const passing = new Set([
  3, // UNEXPECTED_END_OF_FILE
  159, // TIMEOUT_EXCEEDED
  209, // SOCKET_TIMEOUT
  210, // NETWORK_ERROR
  236, // ABORTED
  242, // TABLE_IS_READ_ONLY: a replica without its Keeper
  244, // UNEXPECTED_ZOOKEEPER_ERROR
  279, // ALL_CONNECTION_TRIES_FAILED
  285, // TOO_FEW_LIVE_REPLICAS
  286, // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
  319, // UNKNOWN_STATUS_OF_INSERT
  335, // MUTATIONS_WERE_NOT_FINISHED
  394, // QUERY_WAS_CANCELLED
  425, // SYSTEM_ERROR
  473, // DEADLOCK_AVOIDED
  499, // S3_ERROR
  517, // CANNOT_ASSIGN_ALTER
  571, // DATABASE_REPLICATION_FAILED
  734, // QUERY_WAS_CANCELLED_BY_CLIENT
  999 // KEEPER_EXCEPTION
])

/** The server has too much to do: queries, parts, mutations. */
const busy = new Set([
  202, // TOO_MANY_SIMULTANEOUS_QUERIES
  252, // TOO_MANY_PARTS
  692, // TOO_MANY_MUTATIONS
  700, // USER_SESSION_LIMIT_EXCEEDED
  745 // SERVER_OVERLOADED
])

const unreadable = new Set([
  6, // CANNOT_PARSE_TEXT
  25, // CANNOT_PARSE_ESCAPE_SEQUENCE
  26, // CANNOT_PARSE_QUOTED_STRING
  27, // CANNOT_PARSE_INPUT_ASSERTION_FAILED
  33, // CANNOT_READ_ALL_DATA
  38, // CANNOT_PARSE_DATE
  41, // CANNOT_PARSE_DATETIME
  69, // ARGUMENT_OUT_OF_BOUND
  72, // CANNOT_PARSE_NUMBER
  117, // INCORRECT_DATA
  130, // CANNOT_READ_ARRAY_FROM_TEXT
  131, // TOO_LARGE_STRING_SIZE
  349, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
  376, // CANNOT_PARSE_UUID
  407, // DECIMAL_OVERFLOW
  441, // CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING
  467, // CANNOT_PARSE_BOOL
  469, // VIOLATED_CONSTRAINT
  675, // CANNOT_PARSE_IPV4
  676, // CANNOT_PARSE_IPV6
  691 // UNKNOWN_ELEMENT_OF_ENUM
])

const partitionsAdvice =
  "One insert touches too many partitions: choose a coarser partition_by (by month or none), and make the table anew."

/** Answers that only a change of configuration, grants or the table helps against, and which. */
const advice: ReadonlyMap<number, string> = new Map([
  [16, "A column of the table was dropped or renamed; restart the sink, so that it reads the table again."],
  [36, "Check the table's settings (partition_by, order_by) and the views."],
  [43, "Check partition_by and the SELECT of each view."],
  [44, "A column of order_by or partition_by has a type that cannot be used there."],
  [46, "Check the names of functions in partition_by and the views."],
  [47, "Check the names in partition_by and the views; every column must be a field of the records."],
  [48, "The server or the table's engine does not support this."],
  [53, "The table's columns have changed; compare them with the stream's schema."],
  [57, "A table of this name exists with another definition, or is detached: ATTACH it, or load another table."],
  [60, "The table does not exist (any more); restart the sink to have it made, or check the views."],
  [62, "Check partition_by and the SELECT of each view."],
  [70, "The table's columns have changed; compare them with the stream's schema."],
  [80, "Check the views: a view cannot take the name of a table."],
  [81, "The database does not exist (any more); restart the sink to have it made."],
  [158, "A limit of the server's user forbids inserts of this size; lower batch_rows or raise the limit."],
  [164, "The user may only read. Give it the right to INSERT, CREATE and ALTER in this database."],
  [192, "There is no such user. Check the user's name."],
  [193, "The password is wrong."],
  [194, "The server wants a password."],
  [195, "The user may not come from this address."],
  [201, "The user's quota is used up; raise it on the server."],
  [291, "The user may not use this database."],
  [396, "A limit of the server's user forbids results of this size; lower batch_rows or raise the limit."],
  [497, "Give the user the rights that the message names."],
  [516, "Check user and password."],
  [524, "The column cannot be altered; make the table anew."],
  [774, "The table is read-only; make it writable or load another one."]
])

const viewsAdvice =
  "A materialised view cannot process a record: correct its SELECT (toDateOrNull for toDate, for one), or drop the view."

/** The last number counts: text of the record, which the server quotes before it, may look like one. */
const row = (detail: string): { readonly row?: number } => {
  const match =
    /^Constraint .*? is violated at row (\d+)\. /su.exec(detail) ?? [...detail.matchAll(/\(at row (\d+)\)/gu)].at(-1)
  return match === undefined ? {} : { row: Number(match[1]) - 1 }
}

/** What an answer of the server means. Decided by its code: the HTTP status is 500 for most. */
export const reasonOf = (answer: Answer): Reason => {
  const { code, detail } = answer
  if (code === 252 && detail.includes("partitions for single INSERT"))
    return new Misconfigured({ ...answer, advice: partitionsAdvice })
  if (busy.has(code)) return new Busy(answer)
  if (passing.has(code)) return new Unavailable(answer)
  if (code === 241 || code === 173) return new OutOfMemory(answer)
  if (code === 243) return new NoSpace(answer)
  // The table itself has taken the rows by then, so that they cannot be rejected any more.
  if (/: while pushing to view [^\n]+$/u.test(detail)) return new Misconfigured({ ...answer, advice: viewsAdvice })
  if (unreadable.has(code)) return new BadRecord({ ...answer, ...row(detail) })
  const known = advice.get(code)
  if (known !== undefined) return new Misconfigured({ ...answer, advice: known })
  return new Unexpected(answer)
}
