import type { LoadResult } from "../LoadResult.ts"
import { absent, bytes, count, decimal, moment } from "./Format.ts"
import { markup, type Html } from "./Html.ts"
import { renderPairs } from "./Table.ts"

/** What the API counted, what was asked for, and on what it ran. */
export const detailSection = (result: LoadResult): Html => {
  const { api, machine } = result
  const settings = Object.entries(result.settings)
  return markup`<section id="details">
    <h2>Details</h2>
    <div class="columns">
      <div>
        <h3>The API</h3>
        ${renderPairs([
          ["Requests", count(api.requests)],
          ["Records per request", api.requests > 0 ? decimal(result.records / api.requests) : absent],
          ["Token requests", count(api.tokenRequests)],
          ["Throttled (429)", count(api.throttled)],
          ["Errors (5xx)", count(api.errors)],
          ["Connections dropped", count(api.dropped)],
          ["Unauthorized (401)", count(api.unauthorized)]
        ])}
      </div>
      <div>
        <h3>Settings</h3>
        ${settings.length === 0 ? markup`<p class="empty">All as they are by default.</p>` : renderPairs(settings)}
      </div>
      <div>
        <h3>Machine</h3>
        ${renderPairs([
          ["Cores", count(machine.cores)],
          ["Memory", bytes(machine.memory)],
          ["Node.js", machine.node],
          ["Engine", engineName(result)],
          ["Workers", result.workers === "own" ? "started by the test" : "ran already"],
          ["Started", moment(result.startedAt)]
        ])}
      </div>
    </div>
  </section>`
}

export const engineName = (result: LoadResult): string =>
  result.engine === "embedded" ? "embedded (SQLite log)" : "servers (Kafka, ClickHouse)"
