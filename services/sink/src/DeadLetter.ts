import type { RejectedRecord } from "@tributary/clickhouse"
import { rejectedHeaders } from "@tributary/domain"
import type { Claim, NewRecord } from "@tributary/log"
import type { Range } from "./Range.ts"

/** The rejected records of a range as records of the dead-letter topic. */
export const deadLetters = (
  deadTopic: string,
  claim: Claim,
  range: Range,
  rejected: ReadonlyArray<RejectedRecord>
): ReadonlyArray<NewRecord> =>
  rejected.map(({ index, ...rejection }) => {
    const { key, offset, value, wrong } = range.records[index]!
    // To the table a value that could not be decoded is only no JSON.
    const { code, reason } = wrong ?? rejection
    return {
      topic: deadTopic,
      key,
      value,
      headers: {
        // It quotes the record, and cuts it somewhere: half a surrogate pair is no text.
        [rejectedHeaders.reason]: reason.toWellFormed(),
        [rejectedHeaders.code]: code,
        [rejectedHeaders.stage]: "sink",
        [rejectedHeaders.topic]: claim.topic.name,
        [rejectedHeaders.partition]: String(claim.partition),
        [rejectedHeaders.offset]: String(offset)
      }
    }
  })
