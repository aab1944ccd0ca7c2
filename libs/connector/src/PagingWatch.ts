import { LosslessJson } from "@tributary/codec"
import type { PageView, Paginator, RequestDraft } from "./slots/index.ts"

/** Names of parameters by which APIs are asked for so many records at a time. */
const sizeName =
  /^\$?(?:page\[)?(?:limit|per[_-]?page|page[_-]?(?:size|limit|length)|size|count|max[_-]?(?:results|records|items)|first|top|take|rows|results[_-]?per[_-]?page)\]?$/iu

/** How many records APIs give at a time when they are not asked for a number. */
const usualSizes = new Set([10, 20, 25, 30, 50, 100, 200, 250, 500, 1000, 2000, 2500, 5000, 10_000])

const isMembers = (value: LosslessJson.Json): value is { readonly [name: string]: LosslessJson.Json } =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof LosslessJson.JsonNumber)

const sizesIn = (members: Readonly<Record<string, LosslessJson.Json>>, depth = 0): ReadonlyArray<number> =>
  Object.entries(members).flatMap(([name, value]) => {
    if (sizeName.test(name)) return [Number(String(value))]
    return isMembers(value) && depth < 3 ? sizesIn(value, depth + 1) : []
  })

/** How many records a request asks for at most. */
const askedFor = ({ body, url }: RequestDraft): ReadonlyArray<number> => {
  const inQuery = [...url.searchParams].flatMap(([name, value]) => (sizeName.test(name) ? [Number(value)] : []))
  const inBody =
    body?._tag === "Json"
      ? sizesIn(body.members)
      : body?._tag === "GraphQl"
        ? sizesIn(body.variables)
        : body?._tag === "Form"
          ? sizesIn(body.fields)
          : []
  return [...inQuery, ...inBody].filter((size) => Number.isFinite(size) && size > 0)
}

const advice =
  "If it is misspelt, records behind the first page are missing: correct it, or leave `pagination` out, and `preview` looks for how the API pages. If these were all records, ask for larger pages, and this is not said."

/**
 * Sees whether what `pagination` names is ever in an answer. APIs leave it out on their last page, so only pages that look full count, and
 * one answer that has it is proof that it is right.
 */
export class PagingWatch {
  readonly #sought: NonNullable<Paginator["sought"]>
  readonly #found: Set<number> = new Set()
  /** Full pages that had none of it, and the records of the first. */
  readonly #missed = new Map<number, { pages: number; readonly records: number }>()

  constructor(paginator: Paginator | undefined) {
    this.#sought = paginator?.sought ?? []
  }

  /** A page came. */
  see(page: PageView, draft: RequestDraft): void {
    const { count } = page
    if (this.#found.size === this.#sought.length || page.answer.isIgnored) return
    const missing: Array<number> = []
    let isOver = false
    for (const [index, place] of this.#sought.entries()) {
      if (place.isIn(page)) this.#found.add(index)
      else missing.push(index)
      isOver ||= place.saysEnd?.(page) === true
    }
    // Where the answer says that it is the last one, nothing else has to lead on.
    if (isOver || missing.length === 0 || count === 0) return
    const asked = askedFor(draft)
    if (asked.length > 0 ? count < Math.min(...asked) : !usualSizes.has(count)) return
    for (const index of missing) {
      const known = this.#missed.get(index)
      if (known === undefined) this.#missed.set(index, { pages: 1, records: count })
      else known.pages++
    }
  }

  /** A walk goes on where another one led. */
  ledOn(): void {
    for (const index of this.#sought.keys()) this.#found.add(index)
  }

  /** What is wrong as far as is known: a sentence, nothing (`null`), or it cannot be told yet. */
  get verdict(): string | null | undefined {
    if (this.#found.size === this.#sought.length) return null
    for (const [index, { pages, records }] of this.#missed) {
      const place = this.#sought[index]
      if (place === undefined || this.#found.has(index)) continue
      const where = pages === 1 ? `a page of ${records} records, which looks full,` : `${pages} pages that look full`
      return `${where} had ${place.missing} (pagination.${place.setting}), nor had any other so far, so each walk ended there. ${advice}`
    }
    return undefined
  }
}
