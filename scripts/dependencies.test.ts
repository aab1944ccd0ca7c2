import { assert, describe, it } from "@effect/vitest"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { packagesOf, undeclared } from "./dependencies.ts"

describe("the packages that a file loads", () => {
  it("are those of imports that are left when it runs", () => {
    const source = [
      `import type { A } from "types-only"`,
      `import { type B } from "kept"`,
      `import {`,
      `  c,`,
      `  type D`,
      `} from "@scope/named/deep"`,
      `import "for-effect"`,
      `import fs from "node:fs"`,
      `import path from "path"`,
      `import { e } from "./own.ts"`,
      `export * from "passed-on"`,
      `export const text = "value" satisfies string`,
      `// import { f } from "comment"`,
      `const g: Promise<typeof import("type-of")> = import("later")`,
      `const h = import.meta.resolve("found")`
    ].join("\n")
    assert.deepStrictEqual([...packagesOf(source)].toSorted(), [
      "@scope/named",
      "for-effect",
      "found",
      "kept",
      "later",
      "passed-on"
    ])
  })
})

describe("a workspace", () => {
  const root = fileURLToPath(new URL("..", import.meta.url))

  it("names what its program imports", () => assert.deepStrictEqual(undeclared(root), []))

  it("is refused when what it imports is a devDependency, or nothing", () => {
    const copy = mkdtempSync(join(tmpdir(), "dependencies-"))
    try {
      writeFileSync(join(copy, "package.json"), JSON.stringify({ workspaces: ["libs/*"] }))
      cpSync(join(root, "libs/telemetry"), join(copy, "libs/telemetry"), {
        recursive: true,
        filter: (path) => !path.includes("node_modules")
      })
      const file = join(copy, "libs/telemetry/package.json")
      const { dependencies, ...rest } = JSON.parse(readFileSync(file, "utf8"))
      const { effect, ...others } = dependencies
      writeFileSync(file, JSON.stringify({ ...rest, dependencies: others, devDependencies: { effect } }))
      const [asDev = "", ...more] = undeclared(copy)
      assert.match(
        asDev,
        /^libs\/telemetry\/src\/\w+\.ts imports effect: it is a devDependency in libs\/telemetry\/package\.json, /u
      )
      assert.deepStrictEqual(more, [])
      writeFileSync(file, JSON.stringify({ ...rest, dependencies: others }))
      assert.match(undeclared(copy).join("\n"), /imports effect: libs\/telemetry\/package\.json does not name it\./u)
    } finally {
      rmSync(copy, { recursive: true })
    }
  })
})
