import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { formatProblems, parseConnector } from "@tributary/domain"
import { compileTransform } from "@tributary/transform"
import { Secrets } from "@tributary/secrets"
import { Effect } from "effect"
import { assert, describe, it } from "vitest"

const root = join(import.meta.dirname, "..", "..", "..")
const guides = join(root, "docs", "guides")
const pages = [
  join(root, "README.md"),
  ...readdirSync(guides)
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(guides, name))
]

interface Block {
  readonly page: string
  readonly line: number
  readonly text: string
}

/** The fenced blocks of a language, without the indentation of the list that they may stand in. */
const blocks = (language: string): ReadonlyArray<Block> =>
  pages.flatMap((page) => {
    const text = readFileSync(page, "utf8")
    return [...text.matchAll(/^( *)```(\w+)\n([\s\S]*?)^\1```$/gmu)].flatMap((match) => {
      const [, indent = "", found, body = ""] = match
      if (found !== language) return []
      const lines = body.split("\n").map((line) => line.slice(indent.length))
      return [{ page: basename(page), line: text.slice(0, match.index).split("\n").length, text: lines.join("\n") }]
    })
  })

const topLevel = new Set([
  "connector",
  "auth",
  "module",
  "manifest",
  "hooks",
  "config",
  "http",
  "streams",
  "transform",
  "sink"
])

/** A part of a file as a whole one: settings of a stream, where they are not those of the file, go to one. */
const whole = (text: string): string => {
  const keys = [...text.matchAll(/^(\w+):/gmu)].map(([, key]) => key!)
  if (keys.includes("connector")) return text
  const isStream = keys.some((key) => !topLevel.has(key))
  const parts = ["connector: shop"]
  if (!keys.includes("http")) parts.push("http: { base_url: https://api.shop.example }")
  parts.push("streams:", "  orders:", "    path: /orders", "    primary_key: id")
  const body = isStream ? text.replaceAll(/^(?=.)/gmu, "    ") : text
  return [...parts, body].join("\n")
}

describe("the guides and the README", () => {
  const yaml = blocks("yaml")

  it("have examples", () => {
    assert.isAtLeast(yaml.length, 8)
    assert.isAtLeast(blocks("ts").length, 1)
  })

  it.each(yaml)("show connectors that are right: $page:$line", ({ page, text }) => {
    const parsed = parseConnector(whole(text), page)
    if (parsed._tag === "Failure") assert.fail(formatProblems(parsed.failure))
    assert.deepStrictEqual(parsed.success.warnings, [])
  })

  it("name in the table of pagination what is right", () => {
    const rows = [...readFileSync(join(guides, "connectors.md"), "utf8").matchAll(/\| `(pagination: .*?)` [|(]/gu)]
    assert.strictEqual(rows.length, 7)
    for (const [, text = ""] of rows) {
      const parsed = parseConnector(whole(text), "connectors.md")
      if (parsed._tag === "Failure") assert.fail(formatProblems(parsed.failure))
    }
  })

  it.each(blocks("ts"))("show transforms that run: $page:$line", async ({ text }) => {
    const base = mkdtempSync(join(tmpdir(), "tributary-guides-"))
    try {
      writeFileSync(join(base, "orders.ts"), text)
      const transform = await Effect.runPromise(
        compileTransform([{ typescript: "./orders.ts" }], { connector: "shop", stream: "orders", base }).pipe(
          Effect.provide(Secrets.layer)
        )
      )
      const record = { id: 7, lines: [{ item: "a" }, { item: "b" }] }
      const { out, rejected } = transform.apply([{ offset: 0, key: null, value: Buffer.from(JSON.stringify(record)) }])
      assert.deepStrictEqual(rejected, [])
      assert.deepStrictEqual(
        out.map(({ value }) => JSON.parse(Buffer.from(value).toString())),
        [
          { id: "7-0", line: { item: "a" } },
          { id: "7-1", line: { item: "b" } }
        ]
      )
    } finally {
      rmSync(base, { recursive: true })
    }
  })

  it("link to pages that are there", () => {
    for (const page of pages) {
      const text = readFileSync(page, "utf8")
      for (const [, target = ""] of text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/gu)) {
        assert.doesNotThrow(() => statSync(join(page, "..", target)), `${page}: ${target}`)
      }
    }
  })
})
