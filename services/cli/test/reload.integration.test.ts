import { afterAll, assert, describe, it } from "vitest"
import { endAll, follower, folder, growing, lines, removeFolders, startApi, stopApis } from "./support.ts"

afterAll(async () => {
  await endAll()
  await stopApis()
  removeFolders()
})

const script = (tag: string) => `export const transform = (record: { id: number }) => ({ ...record, tag: "${tag}" })\n`

describe("dev", () => {
  it("takes up changes within seconds, leaves the others alone, and loses and doubles nothing", async () => {
    const api = await startApi()
    const lists = { one: growing(api, "one"), two: growing(api, "two"), three: growing(api, "three") }
    const transform = "    transform:\n      - typescript: ./one.ts"
    const at = folder({
      "one.yaml": follower("one", api, transform),
      "one.ts": script("first"),
      "two.yaml": follower("two", api)
    })
    const dev = at.run(["dev"])
    const asked = (text: string) => api.requests.filter((request) => request.includes(text)).length
    const ask = async (sql: string): Promise<ReadonlyArray<Readonly<Record<string, unknown>>>> => {
      const { code, err, out } = await at.run(["query", "--json", sql]).ended
      assert.strictEqual(code, 0, err)
      return lines(out).map((line) => JSON.parse(line))
    }
    const logged = (message: string) => lines(dev.err()).filter((line) => line.includes(message)).length
    await dev.until("both are read", () => asked("/one?since=") > 5 && asked("/two?since=") > 5)

    // The file.
    at.write("one.yaml", follower("one", api, `    query: { version: 2 }\n${transform}`))
    await dev.until("requests follow the new file", () => asked("/one?version=2") > 0)

    // The transform's file.
    at.write("one.ts", script("second"))
    await dev.until("the connector restarts", () => logged("Connector restarted") === 2)

    // A file made wrong: reported with its place, and the connector goes on as it was.
    at.write("one.yaml", follower("one", api, `    query: { version: 3 }\n    recods: $\n${transform}`))
    await dev.until("the problem is reported", () => logged("Did you mean records?") === 1)
    const before = asked("/one?version=2")
    await dev.until("the old connector goes on", () => asked("/one?version=2") > before + 3)
    assert.strictEqual(asked("version=3"), 0)
    assert.match(dev.err(), /"file":"[^"]*one\.yaml","line":\d+,"column":\d+/u)
    assert.strictEqual(logged("goes on as it was before the change"), 1)

    // Another file, and gone again.
    at.write("three.yaml", follower("three", api))
    await dev.until("the new connector runs", () => asked("/three?since=") > 2)
    at.remove("three.yaml")
    await dev.until("it stops", () => logged("Connector stopped.") === 1)
    const stopped = asked("/three")
    at.write("one.yaml", follower("one", api, `    query: { version: 4 }\n${transform}`))
    await dev.until("the mended file is taken up", () => asked("/one?version=4") > 3)
    assert.strictEqual(asked("/three"), stopped)
    assert.strictEqual(logged('restarted with its new file.","connector":"two"'), 0)

    // Every record once, in order of the changes.
    lists.one.stop()
    lists.two.stop()
    const sizes = { one: lists.one.size(), two: lists.two.size() }
    await dev.until(
      "everything is loaded",
      async () => {
        const [row] = await ask("SELECT (SELECT max(id) FROM live.one) AS one, (SELECT max(id) FROM live.two) AS two")
        return Number(row?.["one"]) === sizes.one - 1 && Number(row?.["two"]) === sizes.two - 1
      },
      10
    )
    dev.child.kill("SIGTERM")
    const { code, err } = await dev.ended
    assert.strictEqual(code, 0, err)
    for (const name of ["one", "two"] as const) {
      const [row] = await ask(
        `SELECT count() AS rows, uniqExact(id) AS ids, uniqExact(_partition, _offset) AS offsets FROM live.${name}`
      )
      const n = sizes[name]
      assert.deepStrictEqual(row, { rows: n, ids: n, offsets: n }, name)
    }
    const tags = await ask("SELECT tag, min(id) AS least FROM live.one GROUP BY tag ORDER BY least")
    assert.deepStrictEqual(
      tags.map((row) => row["tag"]),
      ["first", "second"]
    )
  })
})
