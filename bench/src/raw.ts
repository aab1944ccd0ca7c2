import { request } from "undici"
import { type Api, clientSecret } from "./synthetic.ts"

export const fetchToken = async (api: Api): Promise<string> => {
  const answer = await request(api.tokenUrl, {
    method: "POST",
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      authorization: `Basic ${Buffer.from(`client:${clientSecret}`).toString("base64")}`
    },
    body: "grant_type=client_credentials&scope=records.read"
  })
  const body: { readonly access_token: string } = JSON.parse(await answer.body.text())
  return body.access_token
}

export interface RawPage {
  readonly data: ReadonlyArray<unknown>
  readonly next: string | null
}

/** The raw limit of reading: bare undici and JSON.parse in one loop. Returns the number of records. */
export const rawDownload = async (api: Api, each: (page: RawPage) => Promise<void> | void): Promise<number> => {
  const token = await fetchToken(api)
  let cursor: string | null = null
  let records = 0
  do {
    const url: string = `${api.url}/records${cursor === null ? "" : `?cursor=${encodeURIComponent(cursor)}`}`
    const answer = await request(url, { headers: { authorization: `Bearer ${token}` } })
    const page: RawPage = JSON.parse(await answer.body.text())
    records += page.data.length
    cursor = page.next
    await each(page)
  } while (cursor !== null)
  return records
}

export interface Place {
  readonly url: string
  readonly user: string
  readonly password: string
}

/** The raw limit of loading: a body of JSON lines, sent as it is to a table over HTTP. */
export const rawInsert = async (place: Place, table: string, body: Uint8Array): Promise<void> => {
  const settings = "async_insert=0&date_time_input_format=best_effort&input_format_skip_unknown_fields=1"
  const answer = await request(
    `${place.url}/?${settings}&query=${encodeURIComponent(`INSERT INTO ${table} FORMAT JSONEachRow`)}`,
    { method: "POST", headers: { "X-ClickHouse-User": place.user, "X-ClickHouse-Key": place.password }, body }
  )
  const text = await answer.body.text()
  if (answer.statusCode !== 200) throw new Error(text)
}
