import { compileSelector, selectOne } from "@tributary/codec"
import { type Captured, readableText } from "@tributary/connector"
import type { SourceStream } from "@tributary/domain"

const advice =
  "If these are not all records, correct it, or leave `pagination` out: `preview` then looks for how the API pages."

/**
 * What `pagination` names and an answer with records does not have, in sentences. An API may leave it out on its last page, so this
 * is no failure; but where it is misspelt, the first page would be taken for the last one.
 */
export const pagingWarnings = (
  { charset, format, pagination }: Pick<SourceStream, "charset" | "format" | "pagination">,
  { body, headers, status }: Pick<Captured, "body" | "headers" | "status">
): ReadonlyArray<string> => {
  if (pagination === undefined || status < 200 || status > 299) return []
  const named: Array<readonly [setting: string, what: string]> = []
  if ("header" in pagination && headers[pagination.header.toLowerCase()] === undefined) {
    named.push(["header", `no header ${pagination.header}`])
  }
  if (format === "json" && body.length > 0) {
    const text = readableText(headers, body, charset)
    for (const setting of ["cursor", "next_url", "more", "end"] as const) {
      const selector: unknown = Reflect.get(pagination, setting)
      if (typeof selector !== "string" || selectOne(text, compileSelector(selector)) !== undefined) continue
      named.push([setting, `nothing at ${selector}`])
    }
  }
  return named.map(([setting, what]) => `the answer has ${what} (pagination.${setting}). ${advice}`)
}
