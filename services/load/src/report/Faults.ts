import type { LoadResult } from "../LoadResult.ts"
import { count, stopwatch } from "./Format.ts"
import { markup, nothing, type Html } from "./Html.ts"
import { drawVerticals, place } from "./Plot.ts"
import { span, type Scale } from "./Scale.ts"

/** Badges nearer than this would overlap on a phone. */
const badgeWidth = span / 18
/** Lines nearer than this are one line. */
const lineWidth = span / 500
/** More than these are not listed. */
const mostListed = 60

interface Fault {
  readonly at: number
  readonly what: string
  readonly number: number
}

/** The faults in order of time, numbered from 1 as in the list and in the charts. */
export const faultsOf = (result: LoadResult): ReadonlyArray<Fault> =>
  result.faults
    .filter((fault) => Number.isFinite(fault.at))
    .toSorted((a, b) => a.at - b.at)
    .map(({ at, what }, k) => ({ at: Math.max(0, at), what, number: k + 1 }))

/** Runs of faults whose places are nearer to the first of the run than `width`. */
const near = (faults: ReadonlyArray<Fault>, x: Scale, width: number): ReadonlyArray<ReadonlyArray<Fault>> => {
  const groups: Array<Array<Fault>> = []
  for (const fault of faults) {
    const group = groups.at(-1)
    if (group?.[0] !== undefined && x(fault.at) - x(group[0].at) < width) group.push(fault)
    else groups.push([fault])
  }
  return groups
}

export const drawFaults = (faults: ReadonlyArray<Fault>, x: Scale): Html =>
  drawVerticals(
    near(faults, x, lineWidth).map((group) => x(group[0]?.at ?? 0)),
    "fault"
  )

/** Numbers above the lines, to be looked up in the list. */
export const faultBadges = (faults: ReadonlyArray<Fault>, x: Scale): ReadonlyArray<Html> =>
  near(faults, x, badgeWidth).map((group) => {
    const first = group[0]
    const last = group.at(-1)
    if (first === undefined || last === undefined) return nothing
    const label = first === last ? count(first.number) : `${count(first.number)}–${count(last.number)}`
    const middle = (x(first.at) + x(last.at)) / 2
    const title = group
      .slice(0, 8)
      .map((fault) => `${stopwatch(fault.at)} ${fault.what}`)
      .join("; ")
    return markup`<span class="badge" ${place(middle)} title="${title}">${label}</span>`
  })

export const faultList = (faults: ReadonlyArray<Fault>): Html => {
  if (faults.length === 0) return nothing
  const listed = faults.slice(0, mostListed)
  const rest = faults.length - listed.length
  return markup`<div class="faults">
    <h3>Faults that were put in</h3>
    <ol>
      ${listed.map(
        (fault) =>
          markup`<li>
            <span class="badge">${count(fault.number)}</span><time>${stopwatch(fault.at)}</time>
            <span>${fault.what}</span>
          </li>`
      )}
    </ol>
    ${rest === 0 ? nothing : markup`<p class="note">And ${count(rest)} more, in the JSON report.</p>`}
  </div>`
}
