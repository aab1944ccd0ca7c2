import { assert, it } from "@effect/vitest"
import { serve } from "@tributary/testkit"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { readStream, recordsOf } from "./opened.ts"

const stream = (base: string, name: string, path: string, router: string) => `
    type: DeclarativeStream
    name: ${name}
    primary_key: [id]
    schema_loader: { type: InlineSchemaLoader, schema: { type: object, properties: {} } }
    incremental_sync:
      type: DatetimeBasedCursor
      cursor_field: updated
      datetime_format: "%Y-%m-%d"
      start_datetime: "2024-01-01"
      start_time_option: { type: RequestOption, inject_into: request_parameter, field_name: since }
    retriever:
      type: SimpleRetriever
      requester: { type: HttpRequester, url_base: "${base}", path: "${path}" }
      record_selector: { type: RecordSelector, extractor: { type: DpathExtractor, field_path: [] } }${router}`

const manifest = (base: string, isIncremental: boolean) => `
version: 7.0.0
type: DeclarativeSource
check: { type: CheckStream, stream_names: [issues] }
definitions:
  projects:${stream(base, "projects", "/projects", "")}
streams:
  -${stream(
    base,
    "issues",
    "/issues/{{ stream_partition.project }}",
    `
      partition_router:
        type: SubstreamPartitionRouter
        parent_stream_configs:
          - type: ParentStreamConfig
            parent_key: id
            partition_field: project
            incremental_dependency: ${isIncremental}
            stream: { $ref: "#/definitions/projects" }`
  )
    .trimStart()
    .replace(/^/u, "\n    ")}
`

const projects = [
  { id: "a", updated: "2024-02-01" },
  { id: "b", updated: "2024-05-01" },
  { id: "c", updated: "2024-07-01" }
]
const partition = (project: string, updated: string) => ({
  partition: { project, parent_slice: {} },
  cursor: { updated }
})
const state = [
  {
    type: "STREAM",
    stream: {
      stream_descriptor: { name: "issues" },
      stream_state: {
        use_global_cursor: false,
        states: [partition("a", "2024-02-03"), partition("b", "2024-05-03")],
        state: { updated: "2024-05-03" },
        lookback_window: 0,
        parent_state: { projects: { updated: "2024-05-01" } }
      }
    }
  }
]

it.live("a substream goes on with its parent where Airbyte was, and its partitions where theirs were", () =>
  Effect.gen(function* () {
    for (const isIncremental of [true, false]) {
      const asked: Array<string> = []
      const base = yield* serve((request, response) => {
        const url = new URL(request.url ?? "", "http://api")
        const since = url.searchParams.get("since") ?? ""
        asked.push(`${url.pathname} ${since}`)
        const project = url.pathname.split("/")[2]
        const found =
          project === undefined
            ? projects.filter(({ updated }) => updated >= since)
            : [{ id: `${project}1`, updated: "2024-08-01" }]
        response.end(JSON.stringify(found))
      })
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-parents-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true }))
      )
      writeFileSync(join(folder, "manifest.yaml"), manifest(base, isIncremental))
      writeFileSync(join(folder, "state.json"), JSON.stringify(state))
      const opened = {
        folder,
        variables: {},
        file: { connector: "tracker", manifest: "manifest.yaml", state: "state.json" }
      }
      const pages = yield* readStream(opened, "issues")
      const issues = (project: string, since: string) => `/issues/${project} ${since}`
      assert.deepStrictEqual(
        asked.toSorted(),
        (isIncremental
          ? ["/projects 2024-05-01", issues("b", "2024-05-03"), issues("c", "2024-05-03")]
          : ["/projects 2024-01-01", issues("a", "2024-02-03"), issues("b", "2024-05-03"), issues("c", "2024-05-03")]
        ).toSorted()
      )
      assert.strictEqual(recordsOf(pages).length, isIncremental ? 2 : 3)
      // What was read here goes before what Airbyte knew.
      asked.length = 0
      yield* readStream(opened, "issues", pages.at(-1)?.checkpoint)
      assert.include(asked, isIncremental ? "/projects 2024-07-01" : "/projects 2024-01-01")
    }
  }).pipe(Effect.scoped)
)
