import { Result } from "effect"
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  parseDocument,
  visit,
  type YAMLError
} from "yaml"
import type { ConfigProblem } from "./ConfigProblem.ts"
import { isReferenceLike } from "./Reference.ts"
import { hideSecrets, isSecretName, type Range, secretLines } from "./SecretText.ts"

/** Keys and positions that lead to a setting. */
export type SettingPath = ReadonlyArray<string | number>

/** A problem before its place is turned into line and column. */
export interface Finding {
  readonly range: Range
  readonly path: SettingPath
  readonly found: string
  readonly expected: string
  readonly advice: string
}

/** A YAML file that has been read, whether or not it is well-formed. */
export interface YamlSource {
  /** The top node; `undefined` for an empty file. */
  readonly root: Node | undefined
  /** Errors of syntax. While there are any of `isBroken`, the nodes are not to be trusted. */
  readonly findings: ReadonlyArray<Finding>
  readonly isBroken: boolean
  /** What an alias stands for; `undefined`: no such anchor before it. */
  readonly target: (alias: Alias) => Node | undefined
  /** Parts of the file that are never shown. */
  readonly secrets: Array<Range>
}

const largestFile = 1_048_576

/** Errors by the code that the YAML library gives them; its messages quote the file and so could show a secret. */
const syntax: Readonly<Record<string, readonly [found: string, expected: string, advice: string]>> = {
  ALIAS_PROPS: ["an alias with a tag or an anchor", "an alias alone", "Remove the tag or the anchor."],
  BAD_ALIAS: [
    "an alias or anchor without a usable name",
    "a name after * or &",
    "Put text that begins with * or & in quotes."
  ],
  BAD_DIRECTIVE: ["a line that begins with %", "settings", "Remove the directive."],
  BAD_DQ_ESCAPE: [
    "an unknown escape after \\",
    "a known escape in double quotes",
    "Use single quotes, or write \\\\ for a backslash."
  ],
  BAD_INDENT: [
    "a line that is not indented like its neighbours",
    "the same indentation for settings of one level",
    "Align the line with the others of its level."
  ],
  BAD_PROP_ORDER: [
    "an anchor or tag in the wrong place",
    "anchors and tags just before the value",
    "Move it behind the indicator."
  ],
  BAD_SCALAR_START: ["a text that begins with a reserved character", "a text in quotes", "Put the text in quotes."],
  BLOCK_AS_IMPLICIT_KEY: [
    "two settings on one line",
    "one setting per line",
    "Put the text in quotes if it contains `: `, else begin a new line."
  ],
  BLOCK_IN_FLOW: [
    "an indented block inside braces or brackets",
    "values separated by commas",
    "Write the block in braces, or remove the surrounding ones."
  ],
  DUPLICATE_KEY: ["a setting that is already given above", "each setting once", "Remove one of the two."],
  KEY_OVER_1024_CHARS: [
    "a key of more than 1024 characters",
    "a short key",
    "Check where the quotes of this line end."
  ],
  MISSING_CHAR: [
    "a line that is not complete",
    "a closing quote, brace or bracket, a comma, or a colon with a space",
    "Close what this line opens, and check for a missing `:`."
  ],
  MULTILINE_IMPLICIT_KEY: [
    "a text over two lines where a setting is due",
    "`name: value` on one line",
    "Check for a missing `:`, or a missing closing quote."
  ],
  MULTIPLE_ANCHORS: ["two anchors on one value", "one anchor", "Remove one of them."],
  MULTIPLE_DOCS: [
    "a second document",
    "one connector per file",
    "Remove the line ---, or move what follows into a file of its own."
  ],
  MULTIPLE_TAGS: ["two tags on one value", "no tag", "Remove the tags."],
  NON_STRING_KEY: ["a key that is not a text", "a name", "Put the key in quotes."],
  RESOURCE_EXHAUSTION: ["values nested too deeply", "fewer levels", "Check the brackets of this line."],
  TAB_AS_INDENT: ["a tab as indentation", "spaces", "Indent with spaces."],
  TAG_RESOLVE_FAILED: [
    "a tag (text that begins with !)",
    "a value without a tag",
    "Remove the tag; secrets are written as ${env:NAME} or ${file:path}."
  ],
  UNEXPECTED_TOKEN: [
    "text that does not belong here",
    "`name: value`",
    "Check the quotes and brackets of this line and the one before."
  ],
  BAD_COLLECTION_TYPE: ["a tag that does not fit its value", "a value without a tag", "Remove the tag."]
}
const otherSyntax = [
  "text that is not YAML",
  "settings as `name: value`",
  "Check this line and the one before."
] as const

const notClosed = [
  "a brace or bracket that is not closed",
  "} or ] before the next setting",
  "Close the brace or bracket that is open above, and indent what is inside it."
] as const

/** In braces, the } of a reference that is not in quotes ends the braces. */
const bareReference = [
  "a reference in braces or brackets, without quotes",
  "references in quotes there",
  'Put the reference in quotes, as in { name: "${env:NAME}" }.'
] as const

const isBareReference = (text: string, at: number): boolean => {
  const start = text.lastIndexOf("\n", at - 1) + 1
  const end = text.indexOf("\n", at)
  return /[{[].*[:,[{]\s*[^\s"'#]*\$\{/u.test(text.slice(start, end === -1 ? text.length : end))
}

const fromYaml = (text: string, { code, message, pos }: YAMLError): Finding => {
  const [found, expected, advice] = / must (end with|be sufficiently indented)/u.test(message)
    ? notClosed
    : code === "UNEXPECTED_TOKEN" && isBareReference(text, pos[0])
      ? bareReference
      : (syntax[code] ?? otherSyntax)
  return { range: [pos[0], Math.max(pos[1], pos[0] + 1)], path: [], found, expected, advice }
}

const unreadable = (found: string, expected: string, advice: string): YamlSource => ({
  root: undefined,
  findings: [{ range: [0, 1], path: [], found, expected, advice }],
  isBroken: true,
  target: () => undefined,
  secrets: [[0, largestFile]]
})

const standsAlone = new Set(["DUPLICATE_KEY", "TAG_RESOLVE_FAILED", "TAB_AS_INDENT", "MULTIPLE_DOCS"])

/** An error of structure throws the parser out of step, and brings others after it that say nothing: the first of each kind stays. */
const withoutEchoes = (text: string, errors: ReadonlyArray<YAMLError>): ReadonlyArray<Finding> => {
  const findings: Array<Finding> = []
  const seen = new Set<string>()
  let isAfterTab = false
  for (const error of errors.toSorted((left, right) => left.pos[0] - right.pos[0])) {
    const finding = fromYaml(text, error)
    const isEcho = seen.has(finding.found) || (error.code === "UNEXPECTED_TOKEN" && seen.size > 0)
    // A line whose indentation does not count is read as part of the one before, and nothing fits any more.
    isAfterTab ||= error.code === "TAB_AS_INDENT"
    if (isAfterTab && error.code !== "TAB_AS_INDENT") continue
    if (standsAlone.has(error.code)) findings.push(finding)
    else if (!isEcho) {
      seen.add(finding.found)
      findings.push(finding)
    }
  }
  return findings
}

/** Reads YAML 1.2. Never throws: whatever cannot be read is a finding. */
export const readYaml = (text: string): YamlSource => {
  if (text.length > largestFile) {
    return unreadable(
      `a file of ${text.length} characters`,
      `at most ${largestFile}`,
      "Split the connector into several."
    )
  }
  const parsed = Result.try(() => {
    const document = parseDocument(text, {
      prettyErrors: false,
      stringKeys: true,
      uniqueKeys: true,
      resolveKnownTags: false,
      logLevel: "error"
    })
    return { document, ...surveyed(document) }
  })
  // The library recurses with the depth of the file; an exhausted stack is the one error that it throws.
  if (Result.isFailure(parsed)) {
    return unreadable("values nested too deeply", "fewer levels", "Check the brackets of the file.")
  }
  const { document, secrets, targets } = parsed.success
  const errors = [...document.errors, ...document.warnings]
  const isBroken = errors.some(({ code }) => code !== "DUPLICATE_KEY" && code !== "TAG_RESOLVE_FAILED")
  return {
    root: document.contents ?? undefined,
    findings: withoutEchoes(text, errors),
    isBroken,
    target: (alias) => targets.get(alias),
    secrets: isBroken ? [...secrets, ...secretLines(text)] : secrets
  }
}

/** Finds what every alias stands for, and the values of keys whose names sound secret. */
const surveyed = (document: Document) => {
  const anchors = new Map<string, Node>()
  const targets = new Map<Alias, Node>()
  const secrets: Array<Range> = []
  visit(document, {
    Alias: (_, alias) => {
      const node = anchors.get(alias.source)
      if (node !== undefined) targets.set(alias, node)
    },
    Value: (_, node) => {
      if (node.anchor !== undefined) anchors.set(node.anchor, node)
    },
    Pair: (_, { key, value }) => {
      if (!isScalar(key) || !isSecretName(String(key.value))) return
      if (isScalar(value) && typeof value.value === "string" && isReferenceLike(value.value)) return
      const range = rangeOf(value)
      if (range !== undefined) secrets.push(range)
    }
  })
  return { targets, secrets }
}

/** Where a node stands, without the white space after it. */
export const rangeOf = (node: unknown): Range | undefined => {
  if (!(isScalar(node) || isMap(node) || isSeq(node) || isAlias(node)) || !Array.isArray(node.range)) return undefined
  return [node.range[0], Math.max(node.range[1], node.range[0])]
}

export { isAlias, isMap, isScalar, isSeq, type Node }

const shownLine = (text: string, start: number, secrets: ReadonlyArray<Range>): string => {
  const end = text.indexOf("\n", start)
  const line = text.slice(start, end === -1 ? text.length : end).replace(/\r$/u, "")
  const chars = Array.from({ length: line.length }, (_, index) => line.charAt(index))
  for (const [from, to] of secrets) {
    for (let at = Math.max(from, start); at < Math.min(to, start + line.length); at++) {
      if (chars[at - start]?.trim() !== "") chars[at - start] = "*"
    }
  }
  // Control and direction characters could rewrite what the terminal shows.
  return hideSecrets(chars.join("")).replaceAll(/[^\P{C}\t\u{10000}-\u{10ffff}]/gu, "\u{fffd}")
}

const lineStartsOf = (text: string): ReadonlyArray<number> => {
  const starts = [0]
  for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", end + 1)) starts.push(end + 1)
  return starts
}

/** The line that an offset stands in; the first is 1. */
const lineAt = (starts: ReadonlyArray<number>, offset: number): number => {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((starts[middle] ?? 0) <= offset) low = middle
    else high = middle - 1
  }
  return low + 1
}

/** Gives findings their lines and columns, and the line of the file without its secrets; in the order of the file. */
export const locate = (
  findings: ReadonlyArray<Finding>,
  source: {
    readonly text: string
    readonly file: string
    readonly secrets: ReadonlyArray<Range>
  }
): ReadonlyArray<ConfigProblem> => {
  const { file, secrets, text } = source
  const starts = lineStartsOf(text)
  const excerpts = new Map<number, string>()
  return [...findings]
    .sort((left, right) => left.range[0] - right.range[0])
    .map(({ advice, expected, found, path, range }) => {
      const at = Math.min(range[0], text.length)
      const line = lineAt(starts, at)
      const start = starts[line - 1] ?? 0
      const excerpt = excerpts.get(start) ?? shownLine(text, start, secrets)
      excerpts.set(start, excerpt)
      const column = at - start + 1
      const width = Math.max(1, Math.min(range[1] - at, excerpt.length - column + 1))
      return { file, line, column, path: formatPath(path), found, expected, advice, excerpt: { text: excerpt, width } }
    })
}

/** Writes a path as `transform[0].mask`; keys with other characters than letters, digits, `-` and `_` in quotes. */
export const formatPath = (path: SettingPath): string =>
  path
    .map((part, index) => {
      if (typeof part === "number") return `[${part}]`
      if (!/^[\w-]+$/u.test(part)) return `[${JSON.stringify(part.slice(0, 60))}]`
      return index === 0 ? part : `.${part}`
    })
    .join("")
