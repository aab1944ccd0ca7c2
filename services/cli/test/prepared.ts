// What tests of commands look at: a folder in which all is done, and one on which `dev` runs.
import { assert } from "vitest"
import {
  type Api,
  connector,
  type Folder,
  follower,
  folder,
  growing,
  json,
  lines,
  type Run,
  startApi
} from "./support.ts"

/** A folder in which everything was read and loaded once, and nothing runs. */
export interface Stopped {
  readonly api: Api
  readonly at: Folder
}

export const stoppedFolder = async (): Promise<Stopped> => {
  const items = Array.from({ length: 10 }, (_, id) => ({ id, name: `item ${id}`, price: "9007199254740993.10" }))
  const api = await startApi({ "/items": json({ data: items }) })
  const at = folder({ "shop.yaml": connector("shop", api, { poll: "every 1 hour" }) })
  const { code, err } = await at.run(["run", "--once"]).ended
  assert.strictEqual(code, 0, err)
  assert.strictEqual(err, "", "nothing to say")
  return { api, at }
}

/** A folder on which `dev` runs, over a list that grows. */
export interface Live extends Stopped {
  readonly dev: Run
}

export const liveFolder = async (): Promise<Live> => {
  const api = await startApi()
  growing(api, "one", 100)
  const at = folder({ "one.yaml": follower("one", api, "    topic: { partitions: 2 }") })
  const dev = at.run(["dev"])
  await dev.until("it polls", () => api.requests.length > 3)
  return { api, at, dev }
}

/** The JSON documents that a command printed, one a line. */
export const parsed = (text: string): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  lines(text).map((line) => JSON.parse(line))

/** The one JSON document that a command printed. */
export const document = (text: string): unknown => {
  assert.strictEqual(lines(text).length, 1, text)
  return JSON.parse(text)
}
