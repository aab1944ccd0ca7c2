import type { CursorSettings } from "../component/Cursor.ts"
import { PartitionCursors } from "../component/PartitionCursors.ts"
import { partitionKey } from "../component/Slice.ts"
import { isPlainDict, type PlainDict, type Value } from "../expression/Value.ts"

const dictIn = (value: Value | undefined): PlainDict | undefined =>
  value !== undefined && value !== null && isPlainDict(value) ? value : undefined

/**
 * The state of Airbyte's that a cursor goes on with: of the whole stream, or of one partition, which is its own or else that of all.
 * Empty where nothing is known.
 */
export const airbyteState = (
  settings: CursorSettings,
  given: PlainDict,
  partition: PlainDict | undefined
): PlainDict => {
  const { __ab_no_cursor_state_message: _, ...state } = given
  if (partition === undefined) return state
  const { states } = state
  const key = partitionKey(partition)
  for (const entry of Array.isArray(states) ? states : []) {
    const own = dictIn(entry)
    const named = dictIn(own?.["partition"])
    if (named !== undefined && partitionKey(named) === key) return dictIn(own?.["cursor"]) ?? {}
  }
  return new PartitionCursors(settings, state, false, () => 0).beginning()
}
