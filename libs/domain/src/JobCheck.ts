import type { Report } from "./Conflict.ts"
import type { SourceStream } from "./ConnectorFile.ts"
import type { SettingPath } from "./YamlSource.ts"

const states = ["running", "done", "empty", "failed", "expired"] as const

/** Checks what belongs together in `job`. */
export const checkJob = (stream: SourceStream, path: SettingPath, report: Report) => {
  const { job } = stream
  if (job === undefined) return
  const at = [...path, "job"]
  if (job.create.path === undefined) {
    report(
      "error",
      [...at, "create", "path"],
      "no `path`",
      "`path`: a path that begins with / and has no query",
      "Add it, for example path: /reports."
    )
  }
  if (stream.path === undefined && job.results === undefined) {
    report(
      "error",
      [...path, "path"],
      "neither `path` nor `job.results`",
      "where the result is",
      "Add `path: /reports/{job}/result`, or say with `job.results` where the last answer has its address."
    )
  }
  if (job.link !== undefined && job.results === undefined) {
    report(
      "error",
      [...at, "link"],
      "`link` without `results`",
      "both",
      "Say with `results` where the last answer names the results; {result} in `link` stands for one."
    )
  }
  if (job.link !== undefined && job.link.path === undefined) {
    report("error", [...at, "link", "path"], "no `path`", "the path of the request", "Add `path: /documents/{result}`.")
  }
  if (job.status !== undefined && job.done.length === 0) {
    report(
      "error",
      [...at, "done"],
      "`status` without `done`",
      "both",
      "Say which statuses mean that the result is there."
    )
  }
  if (job.status === undefined && states.some((state) => job[state].length > 0)) {
    report(
      "error",
      [...at, "status"],
      "statuses without `status`",
      "both",
      "Say where the answer has the status: status: $.status."
    )
  }
  const met = new Map<string, string>()
  for (const state of states) {
    for (const status of job[state]) {
      const other = met.get(status)
      met.set(status, state)
      if (other === undefined) continue
      report(
        "error",
        [...at, state],
        `the status ${status}, which is also under \`${other}\``,
        "each status once",
        "Remove it from one of them."
      )
    }
  }
}
