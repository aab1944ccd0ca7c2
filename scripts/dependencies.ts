// Says which packages the program of a workspace imports without naming them in its `dependencies`. Where everything is installed
// they are found all the same; the image, which is installed without devDependencies, is what would fail.
//   node scripts/dependencies.ts
import { globSync, readFileSync } from "node:fs"
import { isBuiltin, stripTypeScriptTypes } from "node:module"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

interface Manifest {
  readonly name?: string
  readonly workspaces?: ReadonlyArray<string>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
}

const manifestOf = (folder: string): Manifest => JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))

/** Statements, which begin a line, and calls. */
const imports = [
  /^import\s+(?:[\w$*{][^"';=()]*\sfrom\s+)?["']([^"'\n]+)["']/gmu,
  /^export\s+(?:\*|\{)[^"';=()]*\sfrom\s+["']([^"'\n]+)["']/gmu,
  /\bimport(?:\.meta\.resolve)?\(\s*["']([^"'\n]+)["']/gu
]

/** The packages that a file loads when it runs; what it imports as types alone is not loaded. */
export const packagesOf = (source: string): ReadonlySet<string> => {
  const code = stripTypeScriptTypes(source).replaceAll(/^\s*(?:\/\/|\/?\*).*$/gmu, "")
  const found = new Set<string>()
  for (const [, name = ""] of imports.flatMap((form) => Array.from(code.matchAll(form)))) {
    if (/^[./#]|^[a-z]+:/u.test(name) || isBuiltin(name)) continue
    found.add(name.split("/", name.startsWith("@") ? 2 : 1).join("/"))
  }
  return found
}

/** A message for each package that is missing in the `dependencies` of a workspace below `root`. */
export const undeclared = (root: string): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const workspaces = (manifestOf(root).workspaces ?? []).map((pattern) => `${pattern}/package.json`)
  for (const manifest of globSync(workspaces, { cwd: root })) {
    const folder = manifest.slice(0, -"/package.json".length)
    const { dependencies, devDependencies, name, optionalDependencies, peerDependencies } = manifestOf(
      join(root, folder)
    )
    const declared = new Set(Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies }))
    const first = new Map<string, string>()
    for (const file of globSync(`${folder}/**/*.{ts,mts,mjs}`, {
      cwd: root,
      exclude: ["**/node_modules/**", "**/test/**", "**/*.test.ts"]
    }).toSorted()) {
      for (const found of packagesOf(readFileSync(join(root, file), "utf8"))) {
        if (found !== name && !declared.has(found) && !first.has(found)) first.set(found, file)
      }
    }
    for (const [found, file] of first) {
      const why =
        devDependencies?.[found] === undefined
          ? `${folder}/package.json does not name it`
          : `it is a devDependency in ${folder}/package.json, which the image is installed without`
      problems.push(`${file} imports ${found}: ${why}. Write it into "dependencies".`)
    }
  }
  return problems
}

if (import.meta.main) {
  const problems = undeclared(fileURLToPath(new URL("..", import.meta.url)))
  for (const problem of problems) console.error(problem)
  process.exitCode = problems.length > 0 ? 1 : 0
}
