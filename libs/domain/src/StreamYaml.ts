import { Document, isMap, isNode, isScalar, parseDocument, type YAMLMap } from "yaml"

/** What a setting may be set to. */
export type SettingValue = string | number | boolean | { readonly [name: string]: SettingValue }

/**
 * A stream as its connector file has it, with some settings put in place of what stands there: YAML that can be pasted over it.
 * References stay references. `undefined`: the file has no such stream, or its streams are no settings.
 */
export const streamYaml = (
  text: string,
  stream: string,
  settings: Readonly<Record<string, SettingValue>>
): string | undefined => {
  const file = parseDocument(text)
  const found = file.getIn(["streams", stream], true)
  if (!isMap(found)) return undefined
  const document = new Document({ streams: { [stream]: {} } })
  // What an alias stands for is written out: its anchor is elsewhere in the file.
  const own: unknown = found.toJS(file)
  document.setIn(["streams", stream], document.createNode(own))
  for (const [name, value] of Object.entries(settings)) {
    const node = document.createNode(value)
    if (isMap(node)) node.flow = true
    document.setIn(["streams", stream, name], node)
  }
  const written = document.getIn(["streams", stream], true)
  if (!isMap(written)) return undefined
  // As files are written: what is inside a setting of a stream stands in one line.
  for (const { value } of written.items) if (isNode(value) && isMap(value)) value.flow = true
  return document.toString({ lineWidth: 120, flowCollectionPadding: true })
}

/** Where the text in front of `end` ends, without the space behind it. */
const trimmed = (text: string, end: number): number => text.slice(0, end).trimEnd().length

/** The text with a list of objects as a member of a map in block style. */
const spliced = (text: string, map: YAMLMap, name: string, objects: ReadonlyArray<object>): string | undefined => {
  const [first] = map.items
  const last = map.items.at(-1)
  if (map.flow === true || !isScalar(first?.key) || !isScalar(last?.key)) return undefined
  const at = first.key.range?.[0] ?? 0
  const indent = " ".repeat(at - (text.lastIndexOf("\n", at - 1) + 1))
  const lines = objects.map((one) => {
    const document = new Document(one)
    if (isMap(document.contents)) document.contents.flow = true
    return `\n${indent}  - ${document.toString({ lineWidth: 0, flowCollectionPadding: true }).trim()}`
  })
  const written = lines.length === 0 ? `${name}: []` : `${name}:${lines.join("")}`
  const own = map.items.find(({ key }) => isScalar(key) && key.value === name)
  const endOf = ({ key, value }: (typeof map.items)[number]): number => {
    const range = isNode(value) ? value.range : isNode(key) ? key.range : undefined
    return trimmed(text, range?.[1] ?? 0)
  }
  if (own !== undefined && isScalar(own.key)) {
    const start = own.key.range?.[0] ?? 0
    return text.slice(0, start) + written + text.slice(Math.max(endOf(own), start + name.length + 1))
  }
  const end = text.indexOf("\n", endOf(last))
  const rest = end < 0 ? text.length : end
  return `${text.slice(0, rest)}\n${indent}${written}${text.slice(rest)}`
}

/**
 * A connector file with the objects of its `streams_from` in place of those that it has; everything else stays. `undefined`: it has
 * no such template.
 */
export const withFoundObjects = (
  text: string,
  index: number,
  found: ReadonlyArray<Readonly<Record<string, string>>>
): string | undefined => {
  const path = ["streams_from", index, "found"]
  const file = parseDocument(text)
  const template = file.getIn(path.slice(0, 2), true)
  if (!isMap(template)) return undefined
  const written = spliced(text, template, "found", found)
  const isRight = (one: string): boolean => {
    const node = parseDocument(one).getIn(path, true)
    return isNode(node) && JSON.stringify(node.toJS(parseDocument(one))) === JSON.stringify(found)
  }
  if (written !== undefined && isRight(written)) return written
  // In a style that is not spliced: the file is written anew, with its comments.
  const list = file.createNode(found)
  for (const item of list.items) if (isMap(item)) item.flow = true
  file.setIn(path, list)
  return file.toString({ lineWidth: 0, flowCollectionPadding: true })
}
