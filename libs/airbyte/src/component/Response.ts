import { dictGet, dictOf, PyDict } from "../expression/Dict.ts"
import type { PlainDict, Value } from "../expression/Value.ts"
import { parseJson } from "./jsonText.ts"

/** A mapping whose text keys are found in any case. */
class CaselessEntries extends Map<string, readonly [key: Value, value: Value]> {
  override get(key: string) {
    return super.get(key.toLowerCase())
  }
  override has(key: string) {
    return super.has(key.toLowerCase())
  }
  override set(key: string, value: readonly [key: Value, value: Value]) {
    return super.set(key.toLowerCase(), value)
  }
}

/** Headers as expressions see them: found in any case, shown as they were sent. */
class HeaderDict extends PyDict {
  override readonly entries = new CaselessEntries()
}

/** Headers as expressions see them; several of one name are joined. */
export const headersOf = (pairs: ReadonlyArray<readonly [name: string, value: string]>): PyDict => {
  const headers = new HeaderDict()
  for (const [name, value] of pairs) {
    const known = headers.entries.get(name)?.[1]
    headers.set(name, typeof known === "string" ? `${known}, ${value}` : value)
  }
  return headers
}

/** An answer of an API. */
export class Response {
  readonly status: number
  /** Names as they were sent. */
  readonly rawHeaders: ReadonlyArray<readonly [name: string, value: string]>
  /** Without content encodings. */
  readonly body: Buffer
  /** Where it came from. */
  readonly url: string
  /** The request's headers and body, for expressions of async jobs. */
  readonly request: PlainDict
  private parsed: { readonly value: Value | undefined } | undefined
  /** Records that the selector found on the page, before its filter. */
  extracted: number | undefined
  private caseless: PyDict | undefined

  constructor(
    status: number,
    rawHeaders: ReadonlyArray<readonly [string, string]>,
    body: Buffer,
    url: string,
    request: PlainDict = {}
  ) {
    this.status = status
    this.rawHeaders = rawHeaders
    this.body = body
    this.url = url
    this.request = request
  }

  /** The same answer, as one to another request. */
  from(request: {
    readonly url: string
    readonly method: string
    readonly headers: Readonly<Record<string, string>>
  }): Response {
    return new Response(this.status, this.rawHeaders, this.body, request.url, {
      ...this.request,
      url: request.url,
      headers: { ...request.headers }
    })
  }

  /** Below 400, as requests has it. */
  get ok(): boolean {
    return this.status < 400
  }

  get headers(): PyDict {
    this.caseless ??= headersOf(this.rawHeaders)
    return this.caseless
  }

  header(name: string): string | undefined {
    const value = dictGet(this.headers, name)
    return typeof value === "string" ? value : undefined
  }

  /** The body as JSON; undefined when it is none. */
  get json(): Value | undefined {
    if (this.parsed === undefined) {
      try {
        this.parsed = { value: parseJson(this.body.toString("utf8")) }
      } catch {
        this.parsed = { value: undefined }
      }
    }
    return this.parsed.value
  }

  /** The body as JSON for conditions: an empty mapping when it is none. */
  get safeJson(): Value {
    return this.json ?? {}
  }

  get text(): string {
    return this.body.toString("utf8")
  }

  /** Links of the Link header by relation, each with its `url` (RFC 8288), as requests has them. */
  get links(): PlainDict {
    const header = this.header("link")
    const links: PlainDict = {}
    if (header === undefined) return links
    const stripped = header.replace(/^[ '"]+|[ '"]+$/g, "")
    if (stripped === "") return links
    for (const part of stripped.split(/, *</)) {
      const semicolon = part.indexOf(";")
      const url = semicolon === -1 ? part : part.slice(0, semicolon)
      const link: PlainDict = { url: url.replace(/^[<> '"]+|[<> '"]+$/g, "") }
      for (const parameter of semicolon === -1 ? [] : part.slice(semicolon + 1).split(";")) {
        const equal = parameter.indexOf("=")
        if (equal === -1) break
        const clean = (text: string) => text.replace(/^[ '"]+|[ '"]+$/g, "")
        link[clean(parameter.slice(0, equal))] = clean(parameter.slice(equal + 1))
      }
      const key = link["rel"] ?? link["url"]
      if (typeof key === "string" && key !== "") links[key] = link
    }
    return links
  }

  /** What the CDK reads as the error's text: the first of the usual fields. */
  get errorText(): string | undefined {
    const { json } = this
    return json === undefined ? this.text : errorIn(json)
  }
}

const errorFields = [
  "message", "messages", "error", "errors", "failures", "failure", "detail", "err", "error_message", "msg", "reason",
  "status_message"
] // prettier-ignore

const isFilled = (value: Value): boolean => {
  if (typeof value === "object") {
    if (value === null) return false
    if (Array.isArray(value)) return value.length > 0
    const dict = dictOf(value)
    return dict === undefined || Object.keys(dict).length > 0
  }
  return Boolean(value)
}

const errorIn = (value: Value): string | undefined => {
  if (typeof value === "string") return value
  if (Array.isArray(value)) {
    return value
      .map(errorIn)
      .filter((text) => text !== undefined)
      .join(", ")
  }
  const dict = dictOf(value)
  if (dict === undefined) return undefined
  for (const field of errorFields) {
    const inner = dictGet(dict, field)
    if (inner !== undefined && isFilled(inner)) return errorIn(inner)
  }
  return undefined
}
