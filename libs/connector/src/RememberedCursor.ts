import { compileSelector } from "@tributary/codec"
import type { Remembered } from "@tributary/domain"
import { Effect } from "effect"
import type { CursorState } from "./Checkpoint.ts"
import { followUrl, linkTo } from "./Follow.ts"
import { foundIn } from "./Found.ts"
import { putValue } from "./RequestBody.ts"
import type { Cursor, CursorWalk } from "./slots/index.ts"
import { BadSetting, type SourceReason } from "./SourceError.ts"

/** What a walk left behind: the token or address with which the next one asks for changes. */
const kept = ({ state }: CursorState): string | undefined => (typeof state === "string" ? state : undefined)

/**
 * The cursor of a stream whose API remembers what was read, and names it on the last page: a token (Google's sync tokens), or an
 * address (Microsoft's delta links). When the API has forgotten it (410), everything is read anew. `setting` names it in messages.
 */
export const rememberedCursor = (settings: Remembered, setting: string): Cursor => {
  const isUrl = "next_url" in settings
  const selector = isUrl ? settings.next_url : settings.token
  const nothing: ReturnType<CursorWalk["observe"]> = { left: undefined, skipped: 0, unmarked: 0, isOver: false }
  return {
    field: undefined,
    values: [compileSelector(selector)],
    expired: [410],
    parameters: [],
    interval: (state, _startedAt, previous) => {
      if (previous !== undefined) return Effect.undefined
      const since = kept(state)
      return Effect.succeed(since === undefined ? {} : { since })
    },
    // There is no order among records by which the rest could be told apart.
    restart: (_state, previous) => previous,
    apply: (draft, { interval: { since } }, requester) => {
      if (since === undefined) return
      if (isUrl) followUrl(draft, since, requester)
      else putValue(draft, { in: settings.in, name: settings.param }, since)
    },
    follow: (state) => {
      let found: string | undefined
      return {
        observe: () => nothing,
        last: (page, [place = -1], draft, requester): SourceReason | undefined => {
          const text = page.valueText(place)
          if (text === undefined || text === null || text === "") {
            const { answer } = page
            return new BadSetting({
              setting,
              problem: `${answer.url}: expected a text at ${selector} of the last page, for the next time. Found ${foundIn(answer.body, answer.secrets)}`
            })
          }
          if (!isUrl) found = text
          else {
            const next = linkTo(text, page.answer, draft, requester)
            if ("_tag" in next) return next
            found = next.url
          }
          return undefined
        },
        progress: () => ({}),
        finish: () => {
          const last = found ?? kept(state)
          return last === undefined ? {} : { state: last }
        }
      }
    }
  }
}
