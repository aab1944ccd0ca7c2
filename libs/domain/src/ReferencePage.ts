import { SchemaAST } from "effect"
import { Connector } from "./ConnectorFile.ts"
import { inFlow } from "./NodeText.ts"
import { formOf, type Setting, shapeOf } from "./Setting.ts"

interface Section {
  readonly title: string
  readonly intro: string
  readonly settings: ReadonlyArray<Setting>
}

const code = (text: string) => `\`${text}\``
/** A bar would end the cell of the table. */
const cell = (text: string) => text.replaceAll("|", "\\|").replaceAll("\n", " ")

/** Address of a heading on the page, as Markdown renderers make it. */
const linkTo = (text: string, title: string) =>
  `[${text}](#${title
    .toLowerCase()
    .replaceAll(/[^\w -]/gu, "")
    .replaceAll(" ", "-")})`

/** Titles of the sections that describe a group, by the group's identifier. */
type Homes = ReadonlyMap<string, string>

const joined = (path: string, name: string) => (path === "" ? name : `${path}.${name}`)

const typeOf = (ast: SchemaAST.AST, path: string, homes: Homes): string => {
  const title = SchemaAST.resolveTitle(ast)
  if (title !== undefined) return title
  const shape = shapeOf(ast)
  switch (shape._tag) {
    case "Struct":
      return linkTo("settings", homes.get(SchemaAST.resolveIdentifier(ast) ?? "") ?? path)
    case "Map":
      return `${typeOf(shape.key, path, homes)}: ${typeOf(shape.value, `${path}.<name>`, homes)}`
    case "List":
      return `list: ${typeOf(shape.item, `${path}[]`, homes)}`
    case "Choice":
      return shape.values.map(code).join(" or ")
    case "OneOf":
      return shape.members
        .map((member) => {
          const form = formOf(member)?.name
          const home = homes.get(SchemaAST.resolveIdentifier(ast) ?? "") ?? path
          return form === undefined ? typeOf(member, path, homes) : linkTo(form, `${home}: ${form}`)
        })
        .join(" or ")
    case "Anything":
      return "any members"
    case "Leaf":
      return SchemaAST.isBoolean(ast) ? "true or false" : SchemaAST.isNumber(ast) ? "number" : "text"
  }
}

const needOf = ({ fallback, isRequired }: Setting): string =>
  isRequired ? "**required**" : fallback === undefined ? "" : code(inFlow(fallback))

const tableOf = (settings: ReadonlyArray<Setting>, path: string, homes: Homes): string =>
  [
    "| setting | type | default | what it does | example |",
    "|---|---|---|---|---|",
    ...settings.map(
      (setting) =>
        `| ${[
          code(setting.name),
          typeOf(setting.ast, joined(path, setting.name), homes),
          needOf(setting),
          setting.description,
          setting.example === undefined ? "" : code(inFlow(setting.example))
        ]
          .map(cell)
          .join(" | ")} |`
    )
  ].join("\n")

/** One section per group of settings, in the order of the file; a group that stands in two places is described once. */
const sectionsOf = (
  ast: SchemaAST.AST,
  path: string,
  intro: string,
  seen: Map<string, string>
): ReadonlyArray<Section> => {
  const shape = shapeOf(ast)
  switch (shape._tag) {
    case "Struct": {
      const identifier = SchemaAST.resolveIdentifier(ast)
      if (identifier !== undefined && seen.has(identifier)) return []
      if (identifier !== undefined) seen.set(identifier, path)
      return [
        { title: path, intro, settings: shape.settings },
        ...shape.settings.flatMap((setting) =>
          sectionsOf(setting.ast, joined(path, setting.name), setting.description, seen)
        )
      ]
    }
    case "Map":
      return sectionsOf(shape.value, `${path}.<name>`, intro, seen)
    case "List":
      return sectionsOf(shape.item, `${path}[]`, intro, seen)
    case "OneOf": {
      const identifier = SchemaAST.resolveIdentifier(ast)
      if (identifier !== undefined && seen.has(identifier)) return []
      if (identifier !== undefined) seen.set(identifier, path)
      return shape.members.flatMap((member) => {
        const form = formOf(member)
        return form === undefined ? [] : sectionsOf(member, `${path}: ${form.name}`, form.description, seen)
      })
    }
    case "Choice":
    case "Leaf":
    case "Anything":
      return []
  }
}

const introduction = `# Connector file

Generated from the schemas by \`npm run gen\`; do not edit.

One file describes one API: how to authorize, what to read, and where to load it. A wrong file is refused with the place, what
was found, what was expected and what to do. \`# yaml-language-server: $schema=<path>/schemas/connector.schema.json\` as
the first line gives completion and checks in an editor.

**Durations** have a number and a unit, as in \`500 millis\`, \`30 seconds\`, \`1 minute\` or \`7 days\`.

**References** stand for values that the file must not hold: \`\${env:NAME}\` is an environment variable, \`\${file:path}\` the
content of a file (relative to the connector file). A *secret reference* is a setting that takes nothing else. In a text that
*may hold references* they may stand anywhere. In all other settings they are refused, as are secrets in the open: headers and
parameters whose names sound secret (authorization, token, api-key, secret ...) must refer to their value.

**Selectors** name a place in a JSON document: \`$\` is the document, \`.name\` or \`['any name']\` a key, \`[0]\` an element,
\`[*]\` each element. **Fields** are keys of a record joined by dots, as in \`customer.email\`.

**Polls** are \`every <duration>\` or \`cron <expression> [time zone]\`: five fields (minute, hour, day, month, weekday), or six
with seconds first; UTC unless a time zone such as \`Europe/Berlin\` follows.

**Field types** are \`bool\`, \`int8\` to \`int64\`, \`uint8\` to \`uint64\`, \`float64\`, \`decimal(digits, scale)\`, \`string\`, \`date\`,
\`timestamp\` or \`timestamp(0|3|6|9)\` (decimals of a second; 6 when not said), \`uuid\` and \`json\`; with \`?\` where null is allowed.

YAML anchors and aliases work for whole values; merge keys (\`<<\`), tags and several documents in one file do not.
`

/** The reference page of the connector file, as Markdown. */
export const connectorReference = (): string => {
  const homes = new Map<string, string>()
  const sections = sectionsOf(Connector.ast, "", "", homes).map(({ intro, settings, title }) => {
    // A form's settings stand beside each other: what is inside them hangs on the path without the form's name.
    const [path = ""] = title.split(": ")
    return [`## ${title === "" ? "Top of the file" : code(title)}`, intro, tableOf(settings, path, homes)]
  })
  return `${[introduction.trimEnd(), ...sections.flat().filter((text) => text !== "")].join("\n\n")}\n`
}
