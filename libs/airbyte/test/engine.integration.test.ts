import { assert, it } from "@effect/vitest"
import { readFileSync, rmSync } from "node:fs"
import { basename, join } from "node:path"
import { streamNameOf } from "../src/engine/streamNameOf.ts"
import { writeJson } from "../src/index.ts"
import { startApi } from "./differential/api.ts"
import { caseOf, dict, filesOf, goldenOf } from "./differential/cases.ts"
import { runEngine } from "./differential/engine.ts"
import { engineDifferences, folderFor } from "./differential/engineMode.ts"

/** What is not the same in the engine. */
const others: { readonly [file: string]: string } = {
  "74-known-authenticators.yaml": "refresh tokens that stand in the manifest are refused",
  "45-error-actions.yaml": "a redirect without an address is refused",
  "94-files.yaml": "files have no place in the engine, which refuses such streams",
  "98-cursor-values.yaml": "a cursor's value that is no time moves no position here, where the CDK fails the stream"
}

/** Streams of other cases. */
const otherStreams: { readonly [file: string]: ReadonlyArray<string> } = {
  // An access token that stands in the manifest is not used: the token layer gets one by the refresh token. And it looks for one of
  // another name at the top of the answer, while the CDK finds it at any depth.
  "21-oauth.yaml": ["fixed", "more"]
}

// The same manifests as connector files: each stream gives the records that airbyte-cdk gives, read in one go and with a restart
// after every page.
for (const file of filesOf(join(import.meta.dirname, "differential", "cases"))) {
  const kept = readFileSync(file.replace(/\.ya?ml$/, ".json"), "utf8")
  const golden = new Map(goldenOf(kept)).get("read")?.outcome ?? {}
  const theirs = dict(golden["records"])
  // What the CDK refuses is refused here too; that has tests of its own.
  if (others[basename(file)] !== undefined || Object.keys(theirs).length === 0) continue
  for (const restarts of [false, true]) {
    it(`${basename(file)} gives the same records in the engine${restarts ? ", restarted after every page" : ""}`, async () => {
      const folder = folderFor(file)
      const api = await startApi()
      try {
        const given = caseOf(file)
        api.use(given.api)
        const isDynamic = given.manifest["dynamic_streams"] !== undefined
        const [run] = await runEngine(
          {
            api: api.base,
            folder,
            name: "manifest.yaml",
            manifest: writeJson(given.manifest),
            config: given.config,
            streams: isDynamic ? Object.keys(theirs).map(streamNameOf) : [],
            state: given.state,
            restarts,
            // An API that is made up answers a request only so often.
            onPause: () => {
              if ("answer" in given.api) api.take()
              return Promise.resolve()
            }
          },
          1
        )
        const found = engineDifferences(golden, run ?? { records: {}, failed: {} })
        const known = (otherStreams[basename(file)] ?? []).map((stream) => `${stream} fails only here`)
        assert.deepStrictEqual(
          found.filter((text) => !known.some((start) => text.startsWith(start))),
          []
        )
      } finally {
        api.close()
        rmSync(folder, { recursive: true })
      }
    })
  }
}
