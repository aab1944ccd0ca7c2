import type { StreamStatus } from "@tributary/telemetry"
import { printable } from "./Format.ts"

/** What is to be known of connectors, each sentence once. */
export const noticeLines = (
  statuses: ReadonlyArray<Pick<StreamStatus, "connector" | "notices">>
): ReadonlyArray<string> => [
  ...new Set(
    statuses.flatMap(({ connector, notices = [] }) =>
      notices.map(({ message }) => `${connector}: ${printable(message)}`)
    )
  )
]
