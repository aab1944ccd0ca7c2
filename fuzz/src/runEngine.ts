import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { expandConnector, openSource } from "@tributary/airbyte"
import { Result } from "effect"
import type { EngineCase, Outcome, Wrong } from "./Case.ts"
import { faultsOf } from "./Messages.ts"
import { parsed, readSource } from "./runConnector.ts"

/** Runs a manifest as a connector file does: in the engine, with its transport, its token layer and its checkpoints. */
export const runEngine = async (
  given: EngineCase,
  base: string,
  folder: string
): Promise<Pick<Outcome, "word" | "wrong">> => {
  const connector = parsed(given.config, base, true)
  if (!("connector" in connector)) return { word: "not a valid file", wrong: connector.wrong }
  const manifest = JSON.stringify(given.manifest).replaceAll("@BASE@", base)
  writeFileSync(join(folder, "manifest.yaml"), manifest)
  const quoted = `${manifest}${JSON.stringify(given.config)}`
  const expanded = expandConnector(connector, manifest)
  if (Result.isFailure(expanded)) {
    const wrong: Array<Wrong> = []
    if (expanded.failure.length === 0)
      wrong.push({ name: "a manifest is refused without a reason", detail: given.name })
    for (const { advice, expected, found } of expanded.failure) {
      wrong.push(...faultsOf(`${found}; ${expected}; ${advice}`, quoted))
      if (found === "" || expected === "" || advice === "")
        wrong.push({ name: "a problem of a manifest does not say all", detail: `${found}; ${expected}; ${advice}` })
    }
    return { word: "manifest refused", wrong }
  }
  return readSource(openSource(connector, { base: folder }), expanded.success.connector, quoted)
}
