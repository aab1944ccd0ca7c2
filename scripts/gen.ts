// Writes the files that are generated from the sources and checked in.
//   node scripts/gen.ts           writes them
//   node scripts/gen.ts --check   writes nothing; exits 1 and names the files that differ
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { controlDocument } from "../libs/domain/src/ControlApi.ts"
import { connectorEditorSchema, connectorReference } from "../libs/domain/src/index.ts"
import { profileEditorSchema } from "../libs/oauth/src/profile/Profile.ts"
import { providersPage } from "../libs/oauth/src/profile/providersPage.ts"
import { composeEnvironment } from "./compose-env.ts"
import { examplesPage } from "./examples-page.ts"

interface Generator {
  /** Relative to the root of the project. */
  readonly file: string
  /** The same bytes on every run. */
  readonly text: () => string
}

/** Add a generator here; nothing else is needed. */
const generators: ReadonlyArray<Generator> = [
  { file: "schemas/connector.schema.json", text: () => `${JSON.stringify(connectorEditorSchema(), null, 2)}\n` },
  { file: "schemas/openapi.json", text: () => `${JSON.stringify(controlDocument(), null, 2)}\n` },
  { file: "libs/oauth/profiles/schema.json", text: () => `${JSON.stringify(profileEditorSchema(), null, 2)}\n` },
  {
    file: "docs/reference/providers.md",
    text: () => providersPage(fileURLToPath(new URL("../libs/oauth/profiles", import.meta.url)))
  },
  {
    file: "docs/guides/examples.md",
    text: () => examplesPage(fileURLToPath(new URL("../examples/connectors", import.meta.url)))
  },
  { file: ".env.example", text: composeEnvironment },
  { file: "docs/reference/connector.md", text: connectorReference }
]

const root = fileURLToPath(new URL("..", import.meta.url))

const current = (file: string): string | undefined => {
  try {
    return readFileSync(join(root, file), "utf8").replaceAll("\r\n", "\n")
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined
    throw error
  }
}

const differing = generators
  .map(({ file, text }) => ({ file, text: text() }))
  .filter(({ file, text }) => current(file) !== text)

// oxlint-disable-next-line no-restricted-globals -- a script's arguments and exit code have no other way in and out
const { argv, stdout } = process

if (argv.includes("--check")) {
  for (const { file } of differing) stdout.write(`${file} differs from its sources: run npm run gen\n`)
  // oxlint-disable-next-line no-restricted-globals -- see above
  process.exitCode = differing.length === 0 ? 0 : 1
} else {
  for (const { file, text } of differing) {
    mkdirSync(dirname(join(root, file)), { recursive: true })
    writeFileSync(join(root, file), text)
    stdout.write(`wrote ${file}\n`)
  }
}
