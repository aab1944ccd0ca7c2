import { findKafka, startCluster } from "@tributary/kafka/testing"
import { durable, missing as missingRedis, redisServer } from "@tributary/redis/testing"
import { freePort } from "@tributary/testkit"
import type { WorkerProcess } from "@tributary/telemetry"
import { Effect, Exit, Scope } from "effect"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, afterEach, assert, beforeAll, describe, it } from "vitest"
import {
  type Api,
  connector,
  endAll,
  folder,
  type Folder,
  json,
  removeFolders,
  type Run,
  startApi,
  stopApis,
  until
} from "./support.ts"

const kafka = await findKafka()
const reason = "missing" in kafka ? kafka.missing : missingRedis
const scope = Scope.makeUnsafe()
const variables: Record<string, string> = { TRIBUTARY_VAULT_KEY: Buffer.alloc(32, 1).toString("base64") }

beforeAll(async () => {
  if (reason !== undefined || "missing" in kafka) return
  const redis = await Effect.runPromise(Scope.provide(redisServer(...durable), scope))
  variables["TRIBUTARY_KAFKA_BROKERS"] = kafka.brokers.join(",")
  variables["TRIBUTARY_REDIS_URL"] = redis.url
})
afterEach(async () => {
  await endAll()
  await stopApis()
  removeFolders()
})
afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  if ("server" in kafka) await kafka.server?.stop()
})

const apply = (files: Folder, ...flags: ReadonlyArray<string>) =>
  files.run(["apply", "-f", files.connectors, ...flags], variables).ended

interface Worker {
  readonly run: Run
  readonly owned: () => Promise<ReadonlyArray<string>>
  readonly health: (path: string) => Promise<{ readonly status: number; readonly text: string }>
}

const startWorker = async (files: Folder, name: string): Promise<Worker> => {
  const run = files.run(["run", "source", "--http", "127.0.0.1:0"], { ...variables, TRIBUTARY_WORKER: name })
  const address = () => /http:\/\/[\d.:]+(?=\/livez)/u.exec(run.out() + run.err())?.[0]
  await run.until("the worker serves its health", () => address() !== undefined)
  const health = async (path: string) => {
    // oxlint-disable-next-line no-restricted-globals -- a probe, as an orchestrator makes it
    const answer = await fetch(`${address()}${path}`)
    return { status: answer.status, text: await answer.text() }
  }
  return {
    run,
    health,
    owned: async () => JSON.parse((await health("/v1/owned")).text).connectors
  }
}

/** What is there is another test's until it is deleted. */
const deleteAll = async (files: Folder) => {
  const { out } = await files.run(["apply", "-f", files.connectors, "--dry-run", "--json"], variables).ended
  const known: ReadonlyArray<{ readonly connector: string; readonly action: string }> = JSON.parse(out).connectors
  for (const { action, connector: id } of known) {
    if (action !== "created") await files.run(["delete", id], variables).ended
  }
}

const items = { "/items": json({ data: [{ id: 1 }] }) }
const polls = (api: Api, path: string) => api.requests.filter((request) => request === `GET ${path}`).length

describe.skipIf(reason !== undefined)(
  `registered connectors${reason === undefined ? "" : ` (skipped: ${reason})`}`,
  () => {
    it("apply shows what changes and changes it, and --dry-run does not", async () => {
      const api = await startApi(items)
      const files = folder({ "a.yaml": connector("reg-a", api), "b.yaml": connector("reg-b", api) })
      await deleteAll(files)
      const dry = await apply(files, "--dry-run")
      assert.strictEqual(dry.code, 0, dry.err)
      assert.include(dry.out, "+ reg-a: created\n+ reg-b: created\n2 change(s) to make; nothing was changed")
      assert.include((await apply(files)).out, "2 change(s) made.")

      files.write("a.yaml", connector("reg-a", api, { poll: "every 2 minutes" }))
      files.remove("b.yaml")
      const changed = await apply(files)
      assert.include(changed.out, "~ reg-a: changed")
      assert.match(changed.out, /-\s+poll: every 1 minute\n\s+\+\s+poll: every 2 minutes/u)
      assert.include(changed.out, "? reg-b: kept (registered, in none of the files; --prune deletes it)")

      // A file with a problem may be that of any connector.
      files.write("c.yaml", "connector: reg-c\nhttps: {}\n")
      const broken = await apply(files, "--prune")
      assert.strictEqual(broken.code, 1)
      assert.include(broken.out, "? reg-b: kept (not deleted: files with problems may be its own)")
      files.remove("c.yaml")
      const pruned = await apply(files, "--prune")
      assert.include(pruned.out, "= reg-a: unchanged\n- reg-b: deleted\n")
      const unknown = await files.run(["delete", "reg-b"], variables).ended
      assert.strictEqual(unknown.code, 1)
      assert.include(unknown.err, "No connector reg-b is registered")
    })

    it("apply refuses a module that would not load on another machine, and registers the rest", async () => {
      const api = await startApi(items)
      const files = folder({
        "good.yaml": connector("reg-good", api),
        "beside.yaml": `${connector("reg-beside", api)}transform:\n  - typescript: ./uses.ts\n`,
        "outside.yaml": `${connector("reg-outside", api)}transform:\n  - typescript: ../outside.ts\n`
      })
      await deleteAll(files)
      writeFileSync(join(files.path, "outside.ts"), "export const transform = (record) => record\n")
      files.write(
        "uses.ts",
        'import { double } from "./helper.ts"\nexport const transform = (record) => double(record)\n'
      )
      files.write("helper.ts", "export const double = (record) => [record, record]\n")
      const { code, err, out } = await apply(files)
      assert.strictEqual(code, 1)
      assert.include(out, "+ reg-good: created")
      assert.notInclude(out, "reg-beside")
      assert.include(err, "what it imports from files beside it has to be in it")
      assert.include(err, "it names the module ../outside.ts, which is not in the folder of its file")
    })

    it(
      "workers share the connectors, take up changes within seconds, and inherit from one that dies",
      { timeout: 240_000 },
      async () => {
        const api = await startApi()
        const ids = Array.from({ length: 12 }, (_, k) => `share-${k}`)
        for (const id of ids) api.on(`/${id}`, json({ data: [{ id: 1 }] }))
        const fileOf = (id: string, poll: string) => connector(id, api, { path: `/${id}`, poll })
        const files = folder(Object.fromEntries(ids.map((id) => [`${id}.yaml`, fileOf(id, "every 1 hour")])))
        await deleteAll(files)
        mkdirSync(files.data, { recursive: true })
        const first = await startWorker(files, "first")
        const second = await startWorker(files, "second")
        const applied = await apply(files)
        assert.strictEqual(applied.code, 0, applied.err)
        const shares = async () => [await first.owned(), await second.owned()] as const
        await until(
          "both workers have some, and together all once",
          async () => {
            const [one, two] = await shares()
            return one.length > 0 && two.length > 0 && [...one, ...two].toSorted().join() === ids.toSorted().join()
          },
          20,
          () => first.run.err() + second.run.err()
        )
        await until("each was read", () => ids.every((id) => polls(api, `/${id}`) === 1))

        // One changes: only that one starts anew.
        const [changed] = await first.owned()
        assert(changed !== undefined)
        files.write(`${changed}.yaml`, fileOf(changed, "every 500 millis"))
        await apply(files)
        await until("the changed one is read by its new file", () => polls(api, `/${changed}`) >= 3)
        assert(ids.every((id) => id === changed || polls(api, `/${id}`) === 1))

        // Deleted: nobody runs it any more.
        await files.run(["delete", changed], variables).ended
        await until("the deleted one has no owner", async () => !(await first.owned()).includes(changed))

        // Each says what its process uses; one that ends well says no more.
        const processes = async () => {
          const { out } = await files.run(["status", "--processes", "--json"], variables).ended
          const found: ReadonlyArray<WorkerProcess> = JSON.parse(out)
          return new Map(found.map((one) => [one.worker, one]))
        }
        const seen = await processes()
        for (const name of ["first", "second"]) {
          const one = seen.get(name)
          assert(one !== undefined, name)
          assert.strictEqual(one.service, "source")
          assert.isAbove(one.cpuSeconds, 0.1)
          assert.isAbove(one.residentBytes, 30e6)
          assert.isBelow(one.startedAt, one.at)
        }

        const ready = await second.health("/readyz")
        assert.strictEqual(ready.status, 200, ready.text)
        second.run.child.kill("SIGKILL")
        const rest = ids.filter((id) => id !== changed).toSorted()
        await until("the other worker has all", async () => (await first.owned()).toSorted().join() === rest.join())

        first.run.child.kill("SIGTERM")
        const ended = await first.run.ended
        assert.strictEqual(ended.code, 0, ended.err)
        const left = [...(await processes()).keys()]
        assert.notInclude(left, "first")
        assert.include(left, "second")
      }
    )
  }
)

describe("one service of many", () => {
  it.skipIf("missing" in kafka).each(["transform", "control"])(
    "%s waits for servers that are not there yet, and says so",
    async (service) => {
      const files = folder({})
      const port = await freePort()
      assert(port !== undefined)
      const run = files.run(["run", service, "--http", "127.0.0.1:0"], {
        TRIBUTARY_KAFKA_BROKERS: `127.0.0.1:${port}`
      })
      const address = () => /http:\/\/[\d.:]+(?=\/livez|\/v1)/u.exec(run.err())?.[0]
      await run.until("its health is served", () => address() !== undefined)
      const ask = async (path: string) => {
        // oxlint-disable-next-line eslint/no-restricted-globals -- a probe, as an orchestrator makes it
        const answer = await fetch(`${address()}${path}`)
        return { status: answer.status, text: await answer.text() }
      }
      await run.until("it says that nothing listens there", () => run.err().includes("ECONNREFUSED"))
      await run.until("its readiness says why", async () => (await ask("/readyz")).text.includes("ECONNREFUSED"))
      assert.strictEqual((await ask("/readyz")).status, 503)
      assert.strictEqual((await ask("/livez")).status, 200)
      const broker = Scope.makeUnsafe()
      try {
        if (service === "control") {
          const refused = await ask("/v1/connectors")
          assert.strictEqual(refused.status, 503)
          assert.include(refused.text, "ECONNREFUSED")
        }
        const cluster = startCluster({ nodes: 1, ports: [port], directory: join(files.path, "kafka") })
        await Effect.runPromise(Scope.provide(cluster, broker))
        await run.until("it is ready", async () => (await ask("/readyz")).status === 200)
        if (service === "control") assert.strictEqual((await ask("/v1/connectors")).status, 200)
        run.child.kill("SIGTERM")
        assert.strictEqual((await run.ended).code, 0)
      } finally {
        await Effect.runPromise(Scope.close(broker, Exit.void))
      }
    }
  )

  it("says which servers it needs", async () => {
    const files = folder({})
    const { code, err } = await files.run(["run", "source"]).ended
    assert.strictEqual(code, 1)
    assert.include(err, "Set TRIBUTARY_KAFKA_BROKERS and TRIBUTARY_REDIS_URL, or run everything in this process")
    for (const args of [["apply"], ["delete", "shop"]]) {
      const registering = await files.run(args).ended
      assert.strictEqual(registering.code, 1)
      assert.include(registering.err, "works on registrations: they are kept on Kafka, and no Kafka is named")
      assert.include(registering.err, "Set TRIBUTARY_KAFKA_BROKERS to the brokers of your workers")
      assert.include(registering.err, "tributary run and tributary dev take the connector files as they are")
    }
    const wrong = await files.run(["run", "sink", "--http", "here"], { TRIBUTARY_KAFKA_SASL: "plain" }).ended
    assert.include(wrong.err, "Cannot listen on here: expected host:port")
    const sasl = await files.run(["apply"], { TRIBUTARY_KAFKA_BROKERS: "127.0.0.1:1", TRIBUTARY_KAFKA_SASL: "plain" })
      .ended
    assert.include(sasl.err, "TRIBUTARY_KAFKA_SASL goes with TRIBUTARY_KAFKA_USERNAME and TRIBUTARY_KAFKA_PASSWORD")
  })
})
