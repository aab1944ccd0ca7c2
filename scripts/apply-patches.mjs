// Mends installed packages with the patches in patches/, named <package>+<version>.patch ("/" of a scope written as "+").
// Runs at install, on any Node from 20 on. A patch that is applied already is left alone; one that does not fit stops the
// install, because the package would go on with the defect that the patch is for.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { argv, exit, stderr, stdout } from "node:process"
import { fileURLToPath } from "node:url"

const root = resolve(argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), ".."))
const directory = join(root, "patches")

class PatchError extends Error {}

/** Where npm may have put a package: at the root, or in a workspace of its own. */
const installations = (name) => {
  const found = [join(root, "node_modules", name)]
  for (const group of ["libs", "services", "examples"]) {
    const folder = join(root, group)
    if (!existsSync(folder)) continue
    for (const workspace of readdirSync(folder)) found.push(join(folder, workspace, "node_modules", name))
  }
  return found.filter((path) => existsSync(join(path, "package.json")))
}

/** The hunks of a unified diff by file; each one is the lines before and the lines after. */
const parse = (patch, name, text) => {
  const files = []
  for (const line of text.split("\n")) {
    if (line.startsWith("diff --git ") || line.startsWith("--- ")) continue
    if (line.startsWith("+++ ")) {
      const path = line
        .slice(4)
        .trim()
        .replace(/^b\/node_modules\//, "")
      if (!path.startsWith(`${name}/`)) throw new PatchError(`${patch}: ${path} is not a file of ${name}`)
      files.push({ path: path.slice(name.length + 1), hunks: [] })
    } else if (line.startsWith("@@ ")) files.at(-1)?.hunks.push({ before: [], after: [] })
    else {
      const hunk = files.at(-1)?.hunks.at(-1)
      if (hunk === undefined) continue
      if (line.startsWith(" ") || line.startsWith("-")) hunk.before.push(line.slice(1))
      if (line.startsWith(" ") || line.startsWith("+")) hunk.after.push(line.slice(1))
    }
  }
  if (files.length === 0 || files.some((file) => file.hunks.length === 0))
    throw new PatchError(`${patch}: it has no changes`)
  return files
}

const occurrences = (text, part) => text.split(part).length - 1

/** The mended text; the same text when it is mended already. */
const mend = (patch, path, text, hunks) => {
  let result = text
  for (const hunk of hunks) {
    const before = hunk.before.join("\n")
    const after = hunk.after.join("\n")
    const open = occurrences(result, before)
    if (open === 1) result = result.replace(before, () => after)
    else if (open !== 0 || occurrences(result, after) !== 1)
      throw new PatchError(
        `${patch}: ${path} is not as expected (the place was found ${open} times). Make the patch anew.`
      )
  }
  return result
}

const apply = (patch) => {
  const match = /^(.+)\+([^+]+)\.patch$/.exec(patch)
  if (match === null) throw new PatchError(`${patch}: the name is not <package>+<version>.patch`)
  const name = match[1].replace("+", "/")
  const version = match[2]
  const targets = installations(name)
  if (targets.length === 0) throw new PatchError(`${patch}: ${name} is not installed under ${root}`)
  const files = parse(patch, name, readFileSync(join(directory, patch), "utf8"))
  for (const target of targets) {
    const installed = JSON.parse(readFileSync(join(target, "package.json"), "utf8")).version
    if (installed !== version)
      throw new PatchError(
        `${patch}: ${name} ${installed} is installed in ${target}. Make the patch anew for it, or remove it.`
      )
    // All files are looked at before one is changed.
    const changes = files.map(({ hunks, path }) => {
      const file = join(target, path)
      if (!existsSync(file)) throw new PatchError(`${patch}: there is no file ${file}`)
      const text = readFileSync(file, "utf8")
      return { file, text, mended: mend(patch, file, text, hunks) }
    })
    const open = changes.filter(({ mended, text }) => mended !== text)
    for (const { file, mended } of open) writeFileSync(file, mended)
    stdout.write(`${patch}: ${open.length > 0 ? "applied" : "was applied already"} (${target})\n`)
  }
}

try {
  const patches = existsSync(directory) ? readdirSync(directory).filter((file) => file.endsWith(".patch")) : []
  for (const patch of patches.sort()) apply(patch)
} catch (error) {
  if (!(error instanceof PatchError)) throw error
  stderr.write(`Patching failed. ${error.message}\n`)
  exit(1)
}
