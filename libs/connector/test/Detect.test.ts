import { assert, describe, it } from "@effect/vitest"
import { capturing, detect, Wire } from "@tributary/connector"
import { Effect, Stream } from "effect"
import { connector, serve, services, source } from "./harness.ts"

type Query = Readonly<Record<string, string>>
interface Shape {
  readonly api: string
  readonly path: string
  /** Settings of the stream beside its path. */
  readonly stream?: Record<string, unknown>
  /** The answer to a request; `asked` are its query's parameters, or the members of its body. */
  readonly answer: (
    asked: Query,
    url: string
  ) => { readonly body: unknown; readonly headers?: Readonly<Record<string, string>> }
  readonly records: string
  readonly pagination: Readonly<Record<string, string | number>>
  readonly key?: string
  readonly cursor?: string
}

const size = 3
const all = 7
/** Record number `n` of an API, by what its records look like. */
const slice = <A>(from: number, record: (n: number) => A, count = size): Array<A> =>
  Array.from({ length: Math.max(0, Math.min(count, all - from)) }, (_, index) => record(from + index))
const at = (n: number) => `2026-03-0${n + 1}T08:00:00Z`
const whole = (text: string | undefined, otherwise = 0) => (text === undefined ? otherwise : Number(text))
/** A cursor that is no number, as most are. */
const sealed = (n: number) => `c3Vy${n}==`
const opened = (text: string | undefined) => (text === undefined || text === "" ? 0 : Number(text.slice(4, -2)))
const next = (from: number) => (from + size < all ? from + size : undefined)

// Shapes as the documentation of these APIs shows them.
const shapes: ReadonlyArray<Shape> = [
  {
    api: "GitHub, issues",
    path: "/repos/o/r/issues",
    answer: ({ page }, url) => {
      const number = whole(page, 1)
      const from = (number - 1) * size
      const link = `<${url}/repos/o/r/issues?page=${number + 1}>; rel="next", <${url}/repos/o/r/issues?page=3>; rel="last"`
      return {
        body: slice(from, (n) => ({ id: n, number: n, title: `Issue ${n}`, labels: [{ id: 1 }], updated_at: at(n) })),
        headers: next(from) === undefined ? {} : { link }
      }
    },
    records: "$[*]",
    pagination: { link: "next" },
    key: "id",
    cursor: "updated_at"
  },
  {
    api: "Stripe, charges",
    path: "/v1/charges",
    answer: ({ starting_after: after }) => {
      const from = after === undefined ? 0 : Number(after.slice(3)) + 1
      return {
        body: {
          object: "list",
          url: "/v1/charges",
          has_more: next(from) !== undefined,
          data: slice(from, (n) => ({ id: `ch_${n}`, object: "charge", amount: 100, created: 1_770_000_000 + n }))
        }
      }
    },
    records: "$.data[*]",
    pagination: { last_record: "id", param: "starting_after", more: "$.has_more" },
    key: "id",
    cursor: "created"
  },
  {
    api: "HubSpot, contacts",
    path: "/crm/v3/objects/contacts",
    answer: ({ after }, url) => {
      const from = whole(after)
      return {
        body: {
          results: slice(from, (n) => ({ id: String(n), properties: { email: `${n}@x` }, updatedAt: at(n) })),
          ...(next(from) === undefined
            ? {}
            : {
                paging: {
                  next: { after: String(next(from)), link: `${url}/crm/v3/objects/contacts?after=${next(from)}` }
                }
              })
        }
      }
    },
    records: "$.results[*]",
    pagination: { next_url: "$.paging.next.link" },
    key: "id",
    cursor: "updatedAt"
  },
  {
    api: "Slack, users",
    path: "/api/users.list",
    answer: ({ cursor }) => {
      const from = opened(cursor)
      return {
        body: {
          ok: true,
          members: slice(from, (n) => ({ id: `U${n}`, name: `user${n}`, updated: 1_770_000_000 + n })),
          response_metadata: { next_cursor: next(from) === undefined ? "" : sealed(next(from) ?? 0) }
        }
      }
    },
    records: "$.members[*]",
    pagination: { cursor: "$.response_metadata.next_cursor", param: "cursor" },
    key: "id",
    cursor: "updated"
  },
  {
    api: "Microsoft Graph, users",
    path: "/v1.0/users",
    answer: ({ $skiptoken: token }, url) => {
      const from = opened(token)
      return {
        body: {
          "@odata.context": `${url}/v1.0/$metadata#users`,
          ...(next(from) === undefined
            ? {}
            : { "@odata.nextLink": `${url}/v1.0/users?$skiptoken=${sealed(next(from) ?? 0)}` }),
          value: slice(from, (n) => ({ id: `u-${n}`, displayName: `User ${n}`, createdDateTime: at(n) }))
        }
      }
    },
    records: "$.value[*]",
    pagination: { next_url: "$['@odata.nextLink']" },
    key: "id",
    cursor: "createdDateTime"
  },
  {
    api: "Google, calendar events",
    path: "/calendar/v3/calendars/primary/events",
    answer: ({ pageToken }) => {
      const from = opened(pageToken)
      return {
        body: {
          kind: "calendar#events",
          items: slice(from, (n) => ({
            id: `e${n}`,
            status: "confirmed",
            updated: at(n),
            attendees: [{ email: "a" }]
          })),
          ...(next(from) === undefined ? { nextSyncToken: "s" } : { nextPageToken: sealed(next(from) ?? 0) })
        }
      }
    },
    records: "$.items[*]",
    pagination: { cursor: "$.nextPageToken", param: "pageToken" },
    key: "id",
    cursor: "updated"
  },
  {
    api: "Salesforce, query",
    path: "/services/data/v60.0/query",
    answer: ({ from: text }) => {
      const from = whole(text)
      return {
        body: {
          totalSize: all,
          done: next(from) === undefined,
          ...(next(from) === undefined ? {} : { nextRecordsUrl: `/services/data/v60.0/query?from=${next(from)}` }),
          records: slice(from, (n) => ({ attributes: { type: "Account" }, Id: `001${n}`, SystemModstamp: at(n) }))
        }
      }
    },
    records: "$.records[*]",
    pagination: { next_url: "$.nextRecordsUrl" },
    key: "Id",
    cursor: "SystemModstamp"
  },
  {
    api: "Zendesk, tickets by cursor",
    path: "/api/v2/tickets",
    answer: ({ "page[after]": after }, url) => {
      const from = opened(after)
      return {
        body: {
          tickets: slice(from, (n) => ({ id: n, subject: "s", updated_at: at(n) })),
          meta: { has_more: next(from) !== undefined, after_cursor: sealed(next(from) ?? 0), before_cursor: "x" },
          links: {
            next: next(from) === undefined ? null : `${url}/api/v2/tickets?page[after]=${sealed(next(from) ?? 0)}`
          }
        }
      }
    },
    records: "$.tickets[*]",
    pagination: { next_url: "$.links.next" },
    key: "id",
    cursor: "updated_at"
  },
  {
    api: "Shopify, orders",
    path: "/admin/api/2026-01/orders.json",
    answer: ({ page_info: info }, url) => {
      const from = opened(info)
      const link = `<${url}/admin/api/2026-01/orders.json?page_info=${sealed(next(from) ?? 0)}>; rel="next"`
      return {
        body: { orders: slice(from, (n) => ({ id: n, line_items: [{ id: 1 }, { id: 2 }], updated_at: at(n) })) },
        headers: next(from) === undefined ? {} : { link }
      }
    },
    records: "$.orders[*]",
    pagination: { link: "next" },
    key: "id",
    cursor: "updated_at"
  },
  {
    api: "Jira, search",
    path: "/rest/api/2/search",
    answer: ({ maxResults, startAt }) => {
      const count = whole(maxResults, size)
      const from = whole(startAt)
      return {
        body: {
          expand: "names",
          startAt: from,
          maxResults: count,
          total: all,
          issues: slice(from, (n) => ({ id: String(n), key: `P-${n}`, fields: { updated: at(n) } }), count)
        }
      }
    },
    records: "$.issues[*]",
    pagination: { offset: "startAt", limit: 3, limit_param: "maxResults" },
    key: "id",
    cursor: "fields.updated"
  },
  {
    api: "Notion, database query",
    path: "/v1/databases/d/query",
    stream: { method: "POST", body: { json: { page_size: 3 } } },
    answer: ({ start_cursor: cursor }) => {
      const from = opened(cursor)
      return {
        body: {
          object: "list",
          results: slice(from, (n) => ({ object: "page", id: `p${n}`, last_edited_time: at(n) })),
          next_cursor: next(from) === undefined ? null : sealed(next(from) ?? 0),
          has_more: next(from) !== undefined
        }
      }
    },
    records: "$.results[*]",
    pagination: { cursor: "$.next_cursor", param: "start_cursor", in: "body", more: "$.has_more" },
    key: "id",
    cursor: "last_edited_time"
  },
  {
    api: "Airtable, records",
    path: "/v0/app/table",
    answer: ({ offset }) => {
      const from = opened(offset)
      return {
        body: {
          records: slice(from, (n) => ({ id: `rec${n}`, createdTime: at(n), fields: { Name: "x" } })),
          ...(next(from) === undefined ? {} : { offset: sealed(next(from) ?? 0) })
        }
      }
    },
    records: "$.records[*]",
    pagination: { cursor: "$.offset", param: "offset" },
    key: "id",
    cursor: "createdTime"
  },
  {
    api: "Intercom, contacts",
    path: "/contacts",
    answer: ({ starting_after: after }) => {
      const from = opened(after)
      return {
        body: {
          type: "list",
          data: slice(from, (n) => ({ type: "contact", id: `c${n}`, updated_at: 1_770_000_000 + n })),
          total_count: all,
          pages: {
            type: "pages",
            page: 1,
            per_page: size,
            total_pages: 3,
            ...(next(from) === undefined ? {} : { next: { page: 2, starting_after: sealed(next(from) ?? 0) } })
          }
        }
      }
    },
    records: "$.data[*]",
    pagination: { cursor: "$.pages.next.starting_after", param: "starting_after" },
    key: "id",
    cursor: "updated_at"
  },
  {
    api: "Asana, tasks",
    path: "/api/1.0/tasks",
    answer: ({ offset }, url) => {
      const from = opened(offset)
      const token = sealed(next(from) ?? 0)
      return {
        body: {
          data: slice(from, (n) => ({ gid: String(n), resource_type: "task", modified_at: at(n) })),
          next_page:
            next(from) === undefined
              ? null
              : { offset: token, path: `/tasks?offset=${token}`, uri: `${url}/api/1.0/tasks?offset=${token}` }
        }
      }
    },
    records: "$.data[*]",
    pagination: { next_url: "$.next_page.uri" },
    key: "gid",
    cursor: "modified_at"
  },
  {
    api: "Spring Data, orders",
    path: "/orders",
    answer: ({ page }) => {
      const number = whole(page)
      return {
        body: {
          content: slice(number * size, (n) => ({ id: n, lastModifiedDate: at(n) })),
          page: { size, totalElements: all, totalPages: 3, number }
        }
      }
    },
    records: "$.content[*]",
    pagination: { page: "page", start: 0, size: 3 },
    key: "id",
    cursor: "lastModifiedDate"
  },
  {
    api: "PagerDuty, incidents",
    path: "/incidents",
    answer: ({ limit, offset }) => {
      const from = whole(offset)
      const count = whole(limit, size)
      return {
        body: {
          incidents: slice(from, (n) => ({ id: `P${n}`, created_at: at(n) }), count),
          limit: count,
          offset: from,
          total: null,
          more: from + count < all
        }
      }
    },
    records: "$.incidents[*]",
    pagination: { offset: "offset", limit: 3 },
    key: "id",
    cursor: "created_at"
  },
  {
    api: "Pipedrive, deals",
    path: "/v1/deals",
    answer: ({ start }) => {
      const from = whole(start)
      return {
        body: {
          success: true,
          data: slice(from, (n) => ({ id: n, update_time: `2026-03-0${n + 1} 08:00:00` })),
          additional_data: {
            pagination: {
              start: from,
              limit: size,
              more_items_in_collection: next(from) !== undefined,
              ...(next(from) === undefined ? {} : { next_start: next(from) })
            }
          }
        }
      }
    },
    records: "$.data[*]",
    pagination: {
      cursor: "$.additional_data.pagination.next_start",
      param: "start",
      more: "$.additional_data.pagination.more_items_in_collection"
    },
    key: "id",
    cursor: "update_time"
  },
  {
    api: "X, tweets",
    path: "/2/tweets",
    answer: ({ pagination_token: token }) => {
      const from = opened(token)
      return {
        body: {
          data: slice(from, (n) => ({ id: String(n), text: "t", created_at: at(6 - n) })),
          meta: { result_count: size, ...(next(from) === undefined ? {} : { next_token: sealed(next(from) ?? 0) }) }
        }
      }
    },
    records: "$.data[*]",
    pagination: { cursor: "$.meta.next_token", param: "pagination_token" },
    key: "id",
    cursor: "created_at"
  },
  {
    api: "Linear, issues (GraphQL)",
    path: "/graphql",
    stream: {
      body: {
        graphql:
          "query($from: String) { issues(first: 3, after: $from) { edges { node { id updatedAt } cursor } pageInfo { hasNextPage endCursor } } }",
        variables: {}
      }
    },
    answer: ({ from: cursor }) => {
      const from = opened(cursor)
      return {
        body: {
          data: {
            issues: {
              edges: slice(from, (n) => ({ node: { id: `i${n}`, updatedAt: at(n) }, cursor: sealed(n) })),
              pageInfo: { hasNextPage: next(from) !== undefined, endCursor: sealed(next(from) ?? 0) }
            }
          }
        }
      }
    },
    records: "$.data.issues.edges[*].node",
    pagination: {
      cursor: "$.data.issues.pageInfo.endCursor",
      param: "from",
      in: "body",
      more: "$.data.issues.pageInfo.hasNextPage"
    },
    key: "id",
    cursor: "updatedAt"
  },
  {
    api: "Bitbucket Server, pull requests",
    path: "/rest/api/1.0/pull-requests",
    answer: ({ start }) => {
      const from = whole(start)
      return {
        body: {
          size,
          limit: size,
          isLastPage: next(from) === undefined,
          start: from,
          values: slice(from, (n) => ({ id: n, version: 1, updatedDate: 1_770_000_000_000 + n })),
          nextPageStart: next(from) ?? null
        }
      }
    },
    records: "$.values[*]",
    pagination: { cursor: "$.nextPageStart", param: "start" },
    key: "id",
    cursor: "updatedDate"
  }
]

/** Serves a shape; the answer's slice is the server's own. */
const started = (shape: Pick<Shape, "answer" | "path">) =>
  Effect.gen(function* () {
    const asked: Array<string> = []
    let origin = ""
    origin = yield* serve((request, response) => {
      const url = new URL(request.url ?? "/", "http://x")
      asked.push(`${url.pathname}${url.search}`)
      let text = ""
      request.on("data", (part: Buffer) => (text += part.toString()))
      request.on("end", () => {
        const sent = text === "" ? {} : JSON.parse(text)
        const { body, headers = {} } = shape.answer(
          { ...Object.fromEntries(url.searchParams), ...sent, ...sent.variables },
          origin
        )
        response.writeHead(url.pathname === shape.path ? 200 : 404, { "content-type": "application/json", ...headers })
        response.end(JSON.stringify(body))
      })
    })
    return { url: origin, asked }
  })

/** What is detected of a stream that states its path and its body only. */
const detected = Effect.fnUntraced(function* (
  url: string,
  { path, stream = {} }: Pick<Shape, "path" | "stream">,
  habits = false
) {
  const settings = connector(url, { path, records: "$[*]", ...stream }, { retries: 0 })
  const { last, wire } = capturing(yield* Wire)
  yield* Effect.flatMap(source(settings), (ready) =>
    Stream.runHead(ready.pages("items", undefined, { prefetch: false }))
  ).pipe(Effect.provideService(Wire, wire), Effect.ignore)
  const first = last()
  assert.isDefined(first)
  if (first === undefined) return undefined
  return yield* detect({ connector: settings, stream: "items", base: import.meta.dirname, first, habits })
})

describe("paging, records, key and cursor are detected", () => {
  for (const shape of shapes) {
    it.live(`of ${shape.api}`, () =>
      Effect.gen(function* () {
        const { url } = yield* started(shape)
        const found = yield* detected(url, shape)
        assert.strictEqual(found?.records, shape.records)
        assert.deepStrictEqual(found?.paging?.pagination, shape.pagination, JSON.stringify(found?.refused))
        assert.strictEqual(found?.paging?.verdict, "verified", found?.paging?.said)
        assert.strictEqual(found?.primaryKey, shape.key)
        assert.strictEqual(found?.cursor?.field, shape.cursor)
      }).pipe(Effect.scoped, Effect.provide(services))
    )
  }

  it.live("with the form and the order of their times", () =>
    Effect.gen(function* () {
      const formats = new Map<string, string | undefined>()
      for (const shape of shapes) {
        const { url } = yield* started(shape)
        const found = yield* detected(url, shape)
        formats.set(shape.api, found?.cursor?.format)
        assert.strictEqual(found?.cursor?.isDescending, shape.api === "X, tweets", shape.api)
      }
      assert.strictEqual(formats.get("Stripe, charges"), "%s")
      assert.strictEqual(formats.get("Bitbucket Server, pull requests"), "%ms")
      assert.isUndefined(formats.get("Pipedrive, deals"))
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})

describe("paging is not taken for granted", () => {
  const page = (n: number) => ({ id: n, name: `item ${n}` })

  it.live("where the API ignores what it is asked with", () =>
    Effect.gen(function* () {
      const { url } = yield* started({
        path: "/items",
        answer: () => ({ body: { data: slice(0, page), next_cursor: sealed(3) } })
      })
      const found = yield* detected(url, { path: "/items" })
      assert.isUndefined(found?.paging)
      assert.isAbove(found?.refused.length ?? 0, 1)
      assert.match(found?.refused[0]?.said ?? "", /same records again/u)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("where page two has records of page one", () =>
    Effect.gen(function* () {
      const { url } = yield* started({
        path: "/items",
        answer: ({ cursor }) => ({
          body: { data: slice(cursor === undefined ? 0 : 1, page), next_cursor: cursor ?? "a" }
        })
      })
      const found = yield* detected(url, { path: "/items" })
      assert.isUndefined(found?.paging)
      assert.strictEqual(found?.refused[0]?.said, "of page two's 3 records 2 were on page one")
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("where a page leads to another origin", () =>
    Effect.gen(function* () {
      const { url } = yield* started({
        path: "/items",
        answer: () => ({ body: { data: slice(0, page), next: "https://other.example/items?page=2" } })
      })
      const found = yield* detected(url, { path: "/items" })
      assert.isUndefined(found?.paging)
      assert.match(found?.refused[0]?.said ?? "", /https:\/\/other\.example/u)
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("where only habit speaks for it, unless that is asked for and holds", () =>
    Effect.gen(function* () {
      const ten = (from: number) =>
        Array.from({ length: Math.max(0, Math.min(10, 25 - from)) }, (_, n) => page(from + n))
      const { asked, url } = yield* started({
        path: "/items",
        answer: ({ offset }) => ({ body: ten(whole(offset)) })
      })
      const without = yield* detected(url, { path: "/items" })
      assert.isUndefined(without?.paging)
      assert.strictEqual(asked.length, 1, "no request is made without a reason")
      const found = yield* detected(url, { path: "/items" }, true)
      assert.deepStrictEqual(found?.paging?.pagination, { offset: "offset", limit: 10 })
      assert.deepStrictEqual(found?.refused[0]?.pagination, { page: "page", size: 10 })
    }).pipe(Effect.scoped, Effect.provide(services))
  )

  it.live("where there is no list of objects", () =>
    Effect.gen(function* () {
      for (const body of ["text", { error: "no" }, [1, 2, 3], { ids: [1, 2] }, null]) {
        const { url } = yield* started({ path: "/items", answer: () => ({ body }) })
        assert.isUndefined(yield* detected(url, { path: "/items" }), JSON.stringify(body))
      }
    }).pipe(Effect.scoped, Effect.provide(services))
  )
})
