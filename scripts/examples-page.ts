import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Result } from "effect"
import { type Connector, formatProblems, parseConnector, type SourceStream } from "../libs/domain/src/index.ts"

const code = (text: string): string => `\`${text.replaceAll("|", "\\|")}\``

const authOf = ({ auth, streams }: Connector): string => {
  if (auth === undefined) {
    const secret = Object.values(streams).some(({ query }) =>
      Object.values(query).some((value) => /\$\{/u.test(String(value)))
    )
    return secret ? "keys in the query" : "none"
  }
  if ("oauth2" in auth) {
    const grant = auth.custom?.grant_type ?? auth.oauth2
    return `OAuth2 ${code(grant)}${auth.provider === undefined ? "" : `, profile ${code(auth.provider)}`}`
  }
  if ("bearer" in auth) return "bearer token"
  if ("basic" in auth) return "HTTP Basic"
  return "api_key" in auth ? `API key in ${code(auth.header ?? auth.query ?? "x-api-key")}` : "headers"
}

const where = (place: string): string =>
  place === "body"
    ? " in the body"
    : place === "header"
      ? " in a header"
      : place === "placeholder"
        ? " in a query's text"
        : ""

const pagesOf = ({ pagination }: SourceStream): string => {
  if (pagination === undefined) return "one page"
  const ends = "until_empty" in pagination && pagination.until_empty ? ", until an empty page" : ""
  if ("link" in pagination) return `Link header${ends}`
  if ("next_url" in pagination) return `next address ${code(pagination.next_url)}${ends}`
  if ("cursor" in pagination) return `cursor ${code(pagination.cursor)}${where(pagination.in)}${ends}`
  if ("header" in pagination) return `cursor in the header ${code(pagination.header)}${ends}`
  if ("last_record" in pagination) return `after the last record's ${code(pagination.last_record)}`
  if ("page" in pagination) return `page number${where(pagination.in)}`
  return `offset${where(pagination.in)}${pagination.start > 0 ? `, from ${pagination.start}` : ""}`
}

const newsOf = ({ incremental }: SourceStream): string => {
  if (incremental === undefined) return "all of it each time"
  if ("token" in incremental) return `sync token ${code(incremental.token)}`
  if ("next_url" in incremental) return `address for the next time ${code(incremental.next_url)}`
  const field = code(incremental.field)
  if (incremental.order === "descending") return `${field}, newest first until what is known`
  return `${field}${where(incremental.in)}${incremental.step === undefined ? "" : ", in windows"}`
}

const partsOf = ({ partitions }: SourceStream): string =>
  partitions === undefined
    ? ""
    : "parent" in partitions
      ? `per record of ${code(partitions.parent)}`
      : "per entry of a list"

/** The page that lists the connectors of a folder, from what their files say. */
export const examplesPage = (folder: string): string => {
  const rows: Array<string> = []
  const files = readdirSync(folder)
    .filter((name) => name.endsWith(".yaml"))
    .toSorted()
  const texts = new Map(files.map((file) => [file, readFileSync(join(folder, file), "utf8").replaceAll("\r\n", "\n")]))
  for (const [file, text] of texts) {
    const parsed = parseConnector(text, file)
    if (Result.isFailure(parsed)) throw new Error(formatProblems(parsed.failure))
    const { connector } = parsed.success
    const api = /^# (.*?)[:;]/mu.exec(text.slice(text.indexOf("\n")))?.[1] ?? connector.connector
    let isFirst = true
    for (const [name, stream] of Object.entries(connector.streams)) {
      const link = isFirst ? `[${file.replace(".yaml", "")}](../../examples/connectors/${file})` : ""
      const parts = partsOf(stream)
      const cells = [
        link,
        isFirst ? api : "",
        isFirst ? authOf(connector) : "",
        `${code(name)}${parts === "" ? "" : `, ${parts}`}${stream.job === undefined ? "" : ", by jobs"}`,
        pagesOf(stream),
        newsOf(stream)
      ]
      rows.push(`| ${cells.join(" | ")} |`)
      isFirst = false
    }
  }
  return `# Connectors of well-known APIs

${files.length} connectors in [examples/connectors](../../examples/connectors), each under 30 lines, written after the API's public documentation. Copy
one into \`connectors/\`, set the environment variables that it names, and \`tributary preview\` it. This page is generated from the
files.

Their addresses are the real ones. The tests run each against a local stand-in that answers as the API documents it (\`examples/connectors/api\`):
requests go through a proxy that leads them there, and token requests to a strict authorization server. Half of all requests go wrong
(5xx, the API's own "too many requests", connections that break before an answer or in a body, slow bodies, access tokens withdrawn in the
middle), the first read is stopped and goes on; every record is compared, then rows change, and the second read has to bring just those.
No request was made to a real API: where its answers differ from its documentation, the test does not know it.

| file | API | authorization | stream | pages | only what is new |
|---|---|---|---|---|---|
${rows.join("\n")}

One of them, whole:

\`\`\`yaml
${texts.get("stripe-charges.yaml")?.trimEnd() ?? ""}
\`\`\`

    vitest run examples/connectors

runs their tests.
`
}
