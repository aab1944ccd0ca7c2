import { compileSelector, JsonSyntaxError, scalarText, selectAll, selectOne } from "@tributary/codec"
import type { Connector, Job as JobSettings, JobRequest } from "@tributary/domain"
import { Duration, Effect } from "effect"
import { foundIn } from "./Found.ts"
import { BadJobAnswer, UnknownJobStatus } from "./JobError.ts"
import type { Resolve } from "./Resolve.ts"
import { header } from "./RetryAfter.ts"
import type { Job, JobStatus, RequestDraft, Slice } from "./slots/index.ts"
import { BadSetting, type SourceReason } from "./SourceError.ts"
import type { Answer } from "./Transport.ts"
import { yamlRequester } from "./YamlRequester.ts"

type Draft = (slice: Slice) => Effect.Effect<RequestDraft, SourceReason>

/** A value of an answer as text: `null` for null, `undefined` for none, for no scalar, and for a body that is not JSON. */
const reading = (place: string) => {
  const selector = compileSelector(place)
  return ({ body }: Answer): string | null | undefined => {
    try {
      const span = selectOne(body, selector)
      return span === undefined ? undefined : scalarText(body, span)
    } catch (error) {
      if (error instanceof JsonSyntaxError) return undefined
      throw error
    }
  }
}

/** All values at a place; `undefined` if there is none, or one of them is no text. Null and an empty list are no results. */
const readingAll = (place: string) => {
  const selector = compileSelector(place)
  return ({ body }: Answer): ReadonlyArray<string> | undefined => {
    try {
      const spans = selectAll(body, selector)
      const found: Array<string> = []
      for (let index = 0; index < spans.length; index += 2) {
        const text = scalarText(body, { start: spans[index]!, end: spans[index + 1]! })
        if (text === undefined) return undefined
        if (text !== null && text !== "") found.push(text)
      }
      return spans.length > 0 || isEmptyList(body, place) ? found : undefined
    } catch (error) {
      if (error instanceof JsonSyntaxError) return undefined
      throw error
    }
  }
}

/** Whether the list that the place goes through is there. */
const isEmptyList = (body: Buffer, place: string): boolean => {
  const end = place.lastIndexOf("[*]")
  if (end < 0) return false
  const list = selectOne(body, compileSelector(place.slice(0, end)))
  return list !== undefined && (body[list.start] === 0x5b || body[list.start] === 0x6e)
}

/** The job slot of a stream's `job`, with today's secrets. `hasPath`: the stream itself says where a result is. */
export const yamlJob = Effect.fnUntraced(function* (
  connector: Connector,
  setting: string,
  job: JobSettings,
  hasPath: boolean,
  resolve: Resolve
): Effect.fn.Return<Job, BadSetting> {
  /** A request of the job; without a path it goes to the address that the job's id is. */
  const request = Effect.fnUntraced(function* (
    name: string,
    settings: JobRequest,
    method: string | undefined
  ): Effect.fn.Return<Draft, BadSetting> {
    const at = `${setting}.${name}`
    const requester = yield* yamlRequester(connector, at, settings, resolve)
    const withMethod = (draft: RequestDraft): RequestDraft => {
      if (settings.method === undefined && method !== undefined) draft.method = method
      return draft
    }
    if (settings.path !== undefined) return (slice) => Effect.map(requester.draft(slice), withMethod)
    return Effect.fnUntraced(function* (slice: Slice): Effect.fn.Return<RequestDraft, SourceReason> {
      const draft = withMethod(yield* requester.draft(slice))
      const id = slice.job?.["job"] ?? ""
      const isAddress = /^(https?:\/\/|\/)/u.test(id) && URL.canParse(id, draft.url.href)
      if (!isAddress) {
        const problem = `there is no \`path\`, and the job's id, ${id.slice(0, 80)}, is no address. Add the path, with {job} in it.`
        return yield* new BadSetting({ setting: at, problem })
      }
      const url = new URL(id, draft.url.href)
      if (url.origin !== draft.url.origin) {
        const problem = `the job's id is an address at ${url.origin}, which is not asked because the credentials would go there. If it is the API, name it as \`address\`.`
        return yield* new BadSetting({ setting: at, problem })
      }
      for (const [name, value] of draft.url.searchParams) url.searchParams.set(name, value)
      draft.url = url
      return draft
    })
  })

  const create = yield* request("create", job.create, "POST")
  const poll = yield* request("poll", job.poll, undefined)
  const remove = job.delete === undefined ? undefined : yield* request("delete", job.delete, "DELETE")
  const cancel = job.cancel === undefined ? undefined : yield* request("cancel", job.cancel, "POST")
  const { link } = job
  const linkDraft = link === undefined ? undefined : yield* request("link", link, undefined)
  const linkAddress = link === undefined ? undefined : reading(link.url)
  const idIn = reading(job.id)
  const statusIn = job.status === undefined ? undefined : reading(job.status)
  const resultsIn = job.results === undefined ? undefined : readingAll(job.results)
  const statuses = new Map<string, "running" | "done" | "empty" | "failed" | "expired">()
  for (const state of ["running", "done", "empty", "failed", "expired"] as const) {
    for (const status of job[state]) statuses.set(status, state)
  }

  const bad = (answer: Answer, name: string, expected: string) =>
    new BadJobAnswer({
      url: answer.url,
      job: "",
      setting: `${setting}.${name}`,
      expected,
      found: foundIn(answer.body, answer.secrets)
    })

  const stateOf = (answer: Answer): "running" | "done" | "empty" | "failed" | "expired" | SourceReason => {
    if (statusIn === undefined) return answer.status === 202 ? "running" : "done"
    const status = statusIn(answer)
    if (status === undefined || status === null) return bad(answer, "status", `a status at ${job.status}`)
    return (
      statuses.get(status) ??
      new UnknownJobStatus({
        url: answer.url,
        job: "",
        status: status.slice(0, 80),
        known: [...statuses.keys()]
      })
    )
  }

  return {
    create,
    created: (answer) => {
      const id =
        job.id_header === undefined ? idIn(answer) : header(answer.headers, job.id_header.toLowerCase())?.trim()
      if (id !== undefined && id !== null && id !== "") return { job: id }
      return job.id_header === undefined
        ? bad(answer, "id", `the job's id at ${job.id}`)
        : bad(answer, "id_header", `the job's id in the header ${job.id_header}`)
    },
    poll,
    status: (answer): JobStatus | SourceReason => {
      const state = stateOf(answer)
      switch (state) {
        case "running":
          return { state }
        case "empty":
          return { state: "done", results: [] }
        case "failed":
        case "expired":
          return { state, message: foundIn(answer.body, answer.secrets) }
        case "done": {
          if (resultsIn === undefined) return { state, results: [""] }
          const results = resultsIn(answer)
          return results === undefined ? bad(answer, "results", `texts at ${job.results}`) : { state, results }
        }
        default:
          return state
      }
    },
    link:
      linkDraft === undefined || linkAddress === undefined
        ? undefined
        : {
            draft: linkDraft,
            address: (answer) => linkAddress(answer) ?? bad(answer, "link.url", `an address at ${link?.url}`)
          },
    areAddresses: link === undefined && resultsIn !== undefined && !hasPath,
    remove,
    cancel,
    every: Duration.toMillis(job.every),
    atMost: Duration.toMillis(job.at_most),
    timeout: Duration.toMillis(job.timeout),
    retries: job.retries,
    limit:
      job.at_once === undefined
        ? undefined
        : { jobs: job.at_once.jobs, key: job.at_once.key ?? connector.http.rate_limit?.key ?? hostOf(connector) }
  }
})

const hostOf = ({ connector, http }: Connector): string => {
  const { base_url: base } = http
  return base !== undefined && URL.canParse(base) ? new URL(base).host : connector
}
