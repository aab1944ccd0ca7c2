import type { LoadResult, Verification } from "../LoadResult.ts"
import { count, plural } from "./Format.ts"
import { markup, nothing, type Html } from "./Html.ts"
import { cell, renderTable, type Cell } from "./Table.ts"

/** Differences listed for a comparison; the JSON report has what was recorded beyond. */
const mostListed = 25

/** Whether a comparison found what must be there, and nothing else. */
export const isClean = (row: Verification): boolean =>
  row.missing === 0 &&
  row.duplicated === 0 &&
  row.altered === 0 &&
  row.foreign === 0 &&
  row.found === row.expected &&
  row.differences.length === 0

const difference = (value: number): Cell => cell(count(value), value === 0 ? "plain" : "bad")

const differences = (row: Verification): Html => {
  if (row.differences.length === 0) return nothing
  const listed = row.differences.slice(0, mostListed)
  const rest = row.differences.length - listed.length
  return markup`<ul class="differences">
      ${listed.map((text) => markup`<li>${text}</li>`)}
    </ul>
    ${rest === 0 ? nothing : markup`<p class="note">And ${plural(rest, "difference")} more, in the JSON report.</p>`}`
}

/** Each comparison, with the first places where it found a difference. */
export const verificationSection = (result: LoadResult): Html =>
  markup`<section id="verification">
    <h2>Verification</h2>
    ${
      result.verification.length === 0
        ? markup`<p class="empty">Nothing was compared.</p>`
        : markup`<p class="lead">What is there, compared record by record with what was offered.</p>
            ${renderTable({
              head: ["Compared", "Expected", "Found", "Missing", "Duplicated", "Altered", "Foreign"],
              rows: result.verification.map((row) => ({
                cells: [
                  cell(`${isClean(row) ? "✓" : "✕"} ${row.what}`, isClean(row) ? "good" : "bad"),
                  cell(count(row.expected)),
                  cell(count(row.found), row.found === row.expected ? "plain" : "bad"),
                  difference(row.missing),
                  difference(row.duplicated),
                  difference(row.altered),
                  difference(row.foreign)
                ],
                below: differences(row)
              }))
            })}`
    }
  </section>`
