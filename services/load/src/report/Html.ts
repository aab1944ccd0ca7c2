/** Text that is markup already. Everything else that goes into a page is escaped by `markup`. */
export class Html {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

/** Characters a parser would drop or refuse (C0 controls) and those that turn the text around them (bidirectional overrides). */
// oxlint-disable-next-line no-control-regex -- They are what is looked for.
const unprintable = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u202a-\u202e\u2066-\u2069]/g

const escape = (text: string): string =>
  text
    .toWellFormed()
    .replaceAll(unprintable, "\ufffd")
    .replaceAll(/[&<>"']/g, (character) => entities[character] ?? "")

const partText = (part: Html | string | ReadonlyArray<Html>): string => {
  if (typeof part === "string") return escape(part)
  return part instanceof Html ? part.text : part.map((each) => each.text).join("")
}

/**
 * Markup with values in it: strings are escaped, `Html` goes in as it is. Numbers are not accepted, so that each of them
 * passes a formatter that knows what to do with one that is not finite.
 */
export const markup = (
  strings: TemplateStringsArray,
  ...parts: ReadonlyArray<Html | string | ReadonlyArray<Html>>
): Html => new Html(strings.map((text, k) => (k === 0 ? text : partText(parts[k - 1] ?? "") + text)).join(""))

/** Markup that is not there. */
export const nothing = new Html("")
