import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Schema } from "effect"
import { parse } from "yaml"
import { factsOf, Profile } from "./Profile.ts"

const decode = Schema.decodeUnknownSync(Profile)

const cell = (text: string): string => text.replaceAll("|", "\\|")

/** A length of time in seconds, as people write it. */
const span = (value: number | string | undefined): string => {
  if (value === undefined) return "?"
  if (typeof value === "string") return value.replaceAll("_", " ")
  for (const [unit, size] of [
    ["d", 86_400],
    ["h", 3600],
    ["min", 60]
  ] as const) {
    if (value % size === 0) return `${value / size} ${unit}`
  }
  return `${value} s`
}

/** The page that lists the provider profiles of a folder, in Markdown. */
export const providersPage = (folder: string): string => {
  const profiles = readdirSync(folder)
    .filter((file) => file.endsWith(".yaml"))
    .toSorted()
    .map((file) => decode(parse(readFileSync(join(folder, file), "utf8"))))
  const rows = profiles.map((profile) => {
    const { id, lifecycle = {}, name, params = {} } = profile
    const facts = factsOf(profile)
    const unsure = facts.filter(({ source }) => source === undefined).length
    const given = Object.entries(params).map(([param, { default: fallback }]) =>
      fallback === undefined ? `\`${param}\`` : `(\`${param}\`)`
    )
    return [
      `\`${id}\``,
      name,
      given.join(", "),
      span(lifecycle.access_token_life?.value),
      lifecycle.rotation?.value ?? "?",
      span(lifecycle.grace?.value),
      span(lifecycle.idle_life?.value),
      span(lifecycle.absolute_life?.value),
      `${facts.length - unsure} of ${facts.length}`
    ]
  })
  const head = [
    "`provider`",
    "name",
    "`params`",
    "access token",
    "rotation",
    "grace",
    "idle",
    "absolute",
    "facts with a source"
  ]
  return `${[
    "# Provider profiles",
    "",
    `The ${profiles.length} providers that a connector can name as \`auth.provider\`; how, is told in`,
    "[guides/authentication.md](../guides/authentication.md#providers). This page is generated from `libs/oauth/profiles`, where",
    "each fact stands with the page it was read on, or as unverified.",
    "",
    "`params` in brackets have a default. access token: how long it lives. rotation: whether a refresh answers with a new refresh",
    "token. grace: how long the one before it is still taken. idle, absolute: how long a refresh token lives unused, and however often",
    "it is used. `?`: not known.",
    "",
    `| ${head.join(" | ")} |`,
    `| ${head.map(() => "---").join(" | ")} |`,
    ...rows.map((row) => `| ${row.map(cell).join(" | ")} |`)
  ].join("\n")}\n`
}
