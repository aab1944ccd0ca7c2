import { afterEach, assert, describe, it } from "vitest"
import { env } from "node:process"
import { findServer, type ServerWays } from "../src/index.ts"

const variable = "TRIBUTARY_SERVER_OF_NO_KIND"
const keepLocal = env["TRIBUTARY_TEST_LOCAL"]
const put = (name: string, value: string | undefined) => {
  if (value === undefined) delete env[name]
  else env[name] = value
}
afterEach(() => {
  put(variable, undefined)
  put("TRIBUTARY_TEST_LOCAL", keepLocal)
})

/** Ways that say how they were gone, and the names of those that were tried. */
const ways = (own: Partial<ServerWays<string>> = {}) => {
  const tried: Array<string> = []
  const go = (way: string) => async () => {
    tried.push(way)
    return way
  }
  const all: ServerWays<string> = {
    name: "Nothing",
    given: { variable, server: (value) => `given ${value}` },
    docker: { probe: go("probe"), start: go("docker") },
    local: go("local"),
    ...own
  }
  return { tried, find: () => findServer(all) }
}
const fails = (message: string) => () => Promise.reject(new Error(message))

describe("a server for tests", () => {
  it("is the one that the environment names, then a container, then a process", async () => {
    put("TRIBUTARY_TEST_LOCAL", undefined)
    const first = ways()
    put(variable, " host:1 ")
    assert.strictEqual(await first.find(), "given host:1")
    assert.deepStrictEqual(first.tried, [])
    put(variable, " ")
    const second = ways()
    assert.strictEqual(await second.find(), "docker")
    assert.deepStrictEqual(second.tried, ["probe", "docker"])
    const third = ways({ docker: { probe: fails("no socket"), start: fails("never called") } })
    assert.strictEqual(await third.find(), "local")
  })

  it("is no container when TRIBUTARY_TEST_LOCAL is 1", async () => {
    put("TRIBUTARY_TEST_LOCAL", "1")
    const { find, tried } = ways()
    assert.strictEqual(await find(), "local")
    assert.deepStrictEqual(tried, ["local"])
  })

  it("is a process when Docker answers and cannot run it", async () => {
    put("TRIBUTARY_TEST_LOCAL", undefined)
    const { find, tried } = ways({ docker: { probe: async () => undefined, start: fails("pull access denied\nmore") } })
    assert.strictEqual(await find(), "local")
    assert.deepStrictEqual(tried, ["local"])
  })

  it("is missed in one line that names each way", async () => {
    put("TRIBUTARY_TEST_LOCAL", undefined)
    const local = () => Promise.resolve({ missing: "no Java" })
    const nowhere = await findServer({
      name: "Kafka",
      given: { variable, server: () => assert.fail("it is not set") },
      docker: { probe: fails("no socket\nand a stack"), start: fails("never called") },
      local
    })
    assert.deepStrictEqual(nowhere, {
      missing: `no Kafka: ${variable} is not set; Docker does not answer (no socket); no Java`
    })
    put("TRIBUTARY_TEST_LOCAL", "1")
    const kept = await findServer({ name: "Kafka", docker: { probe: fails("x"), start: fails("x") }, local })
    assert.deepStrictEqual(kept, { missing: "no Kafka: Docker is left out by TRIBUTARY_TEST_LOCAL; no Java" })
  })
})
