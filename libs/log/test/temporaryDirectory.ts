import { Effect } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A directory of its own for a test, removed afterwards. */
export const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-log-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)
