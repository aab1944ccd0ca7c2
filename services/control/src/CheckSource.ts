import { expandConnector } from "@tributary/airbyte"
import { type RegisteredScript, type Registration, revisionOf } from "@tributary/catalog"
import { type ConfigProblem, connectorWithoutSecrets, namedFiles, parseConnector } from "@tributary/domain"
import type { ConnectorSource } from "@tributary/domain/control"
import { checkProvider } from "@tributary/oauth"
import { Effect, Result } from "effect"
import { posix } from "node:path"

/** A connector that can be registered. */
export interface CheckedSource {
  readonly registration: Omit<Registration, "v" | "at">
  readonly warnings: ReadonlyArray<ConfigProblem>
}

/** A problem at the first place of the file that holds `needle`, else at its start. */
const problemAt = (
  { file, text }: { readonly file: string; readonly text: string },
  needle: string | RegExp,
  problem: Pick<ConfigProblem, "path" | "found" | "expected" | "advice">
): ConfigProblem => {
  const at = typeof needle === "string" ? text.indexOf(needle) : text.search(needle)
  const before = text.slice(0, Math.max(0, at)).split("\n")
  const shown = connectorWithoutSecrets(text).split("\n")[before.length - 1]?.trimEnd() ?? ""
  return {
    file,
    line: before.length,
    column: (before.at(-1)?.length ?? 0) + 1,
    excerpt: { text: shown, width: at === -1 || typeof needle !== "string" ? 1 : needle.length },
    ...problem
  }
}

const isInside = (path: string): boolean => {
  const inside = posix.relative("/base", posix.resolve("/base", path.replaceAll("\\", "/")))
  return inside !== "" && inside !== ".." && !inside.startsWith("../")
}

/** Checks a connector file and the files that it names, as `tributary apply` does. All problems come back at once; none shows a secret. */
export const checkSource = Effect.fnUntraced(function* (
  id: string,
  source: ConnectorSource,
  /** The file's name as it is to be shown. */
  file: string
): Effect.fn.Return<Result.Result<CheckedSource, ReadonlyArray<ConfigProblem>>> {
  const { scripts: given = [], text } = source
  const parsed = parseConnector(text, file)
  if (Result.isFailure(parsed)) return Result.fail(parsed.failure)
  const { connector, locate, warnings } = parsed.success
  const problems: Array<ConfigProblem> = []
  const at = (needle: string | RegExp, problem: Pick<ConfigProblem, "path" | "found" | "expected" | "advice">) =>
    problems.push(problemAt({ file, text }, needle, problem))

  if (connector.connector !== id) {
    at(/^["']?connector["']?\s*:/mu, {
      path: "connector",
      found: connector.connector,
      expected: `${id.slice(0, 80)}, the identifier that the request names`,
      advice:
        "Change the one or the other; a connector is renamed by deleting it and registering it under its new name."
    })
  }
  const named = namedFiles(connector).toSorted()
  const scripts: Array<RegisteredScript> = []
  const kindOf = (path: string) =>
    path === connector.manifest
      ? { path: "manifest", kind: "manifest" }
      : path === connector.hooks
        ? { path: "hooks", kind: "module" }
        : { path: path === connector.module ? "module" : "transform", kind: "module" }
  for (const path of named) {
    const { kind, path: setting } = kindOf(path)
    if (!isInside(path)) {
      at(path, {
        path: setting,
        found: `the ${kind} ${path}`,
        expected: "a path below the folder of the file",
        advice: `A ${kind} goes with the file to other machines. Name it as ./${kind === "manifest" ? "manifest.yaml" : "name.ts"}.`
      })
      continue
    }
    const [script, ...others] = given.filter((script) => script.path === path)
    if (script === undefined || others.length > 0) {
      at(path, {
        path: setting,
        found: `the ${kind} ${path}, ${script === undefined ? "without its text" : "more than once in scripts"}`,
        expected: "its text in scripts, once",
        advice:
          "Send JSON {text, scripts: [{path, text}]}, or register the file with tributary apply, which reads what it names."
      })
    } else scripts.push({ path, text: script.text })
  }
  for (const { path } of given) {
    if (named.includes(path)) continue
    at("", {
      path: "scripts",
      found: `the module ${path.slice(0, 80)}, which no transform names`,
      expected: named.length === 0 ? "no modules" : `only ${named.join(", ")}`,
      advice: "Leave it out, or name it in a transform, with the same path."
    })
  }
  let { auth } = connector
  const manifest = scripts.find(({ path }) => path === connector.manifest)
  if (manifest !== undefined) {
    const expanded = expandConnector(connector, manifest.text)
    if (Result.isFailure(expanded)) problems.push(...locate(expanded.failure))
    else auth = expanded.success.connector.auth
  }
  const ofProvider = yield* checkProvider(auth)
  problems.push(...locate(ofProvider.filter(({ severity }) => severity === "error")))
  return problems.length > 0
    ? Result.fail(problems)
    : Result.succeed({
        registration: { connector: connector.connector, file, text, scripts, revision: revisionOf(text, scripts) },
        warnings: [...warnings, ...locate(ofProvider)]
      })
})
