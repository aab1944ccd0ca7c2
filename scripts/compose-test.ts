// Runs docker-compose.yml as an operator does, and compares every row of the example with its data files: after a start, while
// everything is recreated as in an upgrade, after each container was killed, and after all of them were.
//   npm run test:compose                    with the Docker that answers; else, as root on a Debian, with one of its own
//   npm run test:compose -- --keep          leaves containers and images as they are at the end, to look at
// Images that cannot be pulled are built by deploy/offline/build.sh. Without Docker it says so and ends with 0. It uses a project,
// an image, ports and secrets of its own, and leaves nothing of them behind.
import { spawn, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { once } from "node:events"
import { createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { differences } from "../examples/flights/harness.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const engine = join(root, "deploy", "offline", "engine.sh")
const { values: flags } = parseArgs({ options: { keep: { type: "boolean", default: false } } })

const seconds = 1_000
/** The longest that everything may take to become healthy, and a build. */
const startLimit = 300 * seconds
const buildLimit = 900 * seconds
const containersLimit = 900 * seconds
/** Simulated seconds per second of the example's API: the last six days of its month take so many minutes. */
const speed = 1_800

const began = performance.now()
const tell = (text: string): void =>
  console.log(`${((performance.now() - began) / seconds).toFixed(0).padStart(4)} s  ${text}`)

class Failed extends Error {}

interface Ended {
  readonly code: number | null
  /** Both outputs. */
  readonly said: string
}

/** Runs a program to its end; one that takes longer than `limit` is ended by force, with all that it started. */
const run = async (
  program: string,
  args: ReadonlyArray<string>,
  options: { readonly env?: Readonly<Record<string, string>>; readonly cwd?: string; readonly limit?: number } = {}
): Promise<Ended> => {
  const child = spawn(program, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true
  })
  let said = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (part: Buffer) => (said += part.toString()))
  const timer = setTimeout(
    () => {
      said += `\n${program} ${args.join(" ")} took longer than ${(options.limit ?? 0) / seconds} seconds.`
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
    },
    options.limit ?? 120 * seconds
  )
  try {
    const [code]: Array<number | null> = await once(child, "close")
    return { code: code ?? null, said }
  } finally {
    clearTimeout(timer)
  }
}

const lastLines = (text: string, lines = 25): string => text.trimEnd().split("\n").slice(-lines).join("\n")

const check = async (what: string, ended: Promise<Ended>): Promise<string> => {
  const { code, said } = await ended
  if (code !== 0) throw new Failed(`${what} ended with ${code}:\n${lastLines(said)}`)
  return said
}

const answers = (): boolean =>
  ["version", "compose version"].every(
    (command) => spawnSync("docker", command.split(" "), { stdio: "ignore", timeout: 20 * seconds }).status === 0
  )

/** Why no engine of our own can be started, as the part of a sentence; `undefined` when it can. */
const noEngine = (): string | undefined => {
  if (process.platform !== "linux") return "an engine of its own needs Linux"
  if (process.getuid?.() !== 0) return "an engine of its own needs root"
  return spawnSync("apt-get", ["--version"], { stdio: "ignore" }).status === 0
    ? undefined
    : "an engine of its own needs apt"
}

const freePorts = async (names: ReadonlyArray<string>): Promise<Readonly<Record<string, string>>> => {
  const servers: Array<Server> = []
  const ports: Record<string, string> = {}
  for (const name of names) {
    const server = createServer().listen(0, "127.0.0.1")
    servers.push(server)
    await once(server, "listening")
    const address = server.address()
    if (address === null || typeof address === "string") throw new Error("The system gave no port.")
    ports[name] = String(address.port)
  }
  for (const server of servers) server.close()
  return ports
}

const project = `tributary-test-${process.pid}`
const folder = mkdtempSync(join(tmpdir(), "tributary-compose-"))
const secret = () => randomBytes(24).toString("base64url")
const environment: Readonly<Record<string, string>> = {
  COMPOSE_PROJECT_NAME: project,
  TRIBUTARY_IMAGE: `${project}:test`,
  TRIBUTARY_VAULT_KEY: randomBytes(32).toString("base64"),
  TRIBUTARY_CONTROL_TOKEN: secret(),
  REDIS_PASSWORD: secret(),
  CLICKHOUSE_PASSWORD: secret(),
  TRIBUTARY_LOAD_SECRET: secret(),
  FLIGHTS_CLIENT_SECRET: secret(),
  // What `differences` counts on.
  FLIGHTS_SALT: "salt of the tests",
  FLIGHTS_ARGS: `--speed ${speed}`,
  ...(await freePorts(["CONTROL_PORT", "CLICKHOUSE_PORT", "KAFKA_PORT", "REGISTRY_PORT"]))
}

const composeArgs = (args: ReadonlyArray<string>) => [
  "compose",
  // Not the settings of whoever runs this.
  "--env-file",
  join(folder, "empty.env"),
  "--progress",
  "quiet",
  ...args
]
const compose = (args: ReadonlyArray<string>, limit = 120 * seconds): Promise<string> =>
  check(`docker ${composeArgs(args).join(" ")}`, run("docker", composeArgs(args), { env: environment, limit }))

const up = (...args: ReadonlyArray<string>) =>
  compose(
    ["up", "--detach", "--wait", "--wait-timeout", String(startLimit / seconds), ...args],
    startLimit + 60 * seconds
  )

/** Gets the images that containers and builds need, by pulling or by building stand-ins; why not, if so. */
const images = async (): Promise<string | undefined> => {
  const needed = ["Dockerfile", "docker-compose.yml"].flatMap((file) =>
    [...readFileSync(join(root, file), "utf8").matchAll(/^(?:FROM| *image:) ([a-z/-]+:[a-z0-9.-]+)/gmu)].map(
      ([, tag = ""]) => tag
    )
  )
  let canPull = true
  for (const tag of new Set(needed)) {
    if ((await run("docker", ["image", "inspect", tag])).code === 0) continue
    if (canPull && (await run("docker", ["pull", "--quiet", tag], { limit: 300 * seconds })).code === 0) continue
    canPull = false
    const built = await run(join(root, "deploy", "offline", "build.sh"), [tag], { limit: buildLimit })
    if (built.code !== 0) return `${tag} can neither be pulled nor built here:\n${lastLines(built.said, 5)}`
    tell(lastLines(built.said, 1))
  }
  return undefined
}

const warehouse = {
  TRIBUTARY_CLICKHOUSE_URL: `http://127.0.0.1:${environment["CLICKHOUSE_PORT"]}`,
  TRIBUTARY_CLICKHOUSE_USER: "tributary",
  TRIBUTARY_CLICKHOUSE_PASSWORD: environment["CLICKHOUSE_PASSWORD"] ?? ""
}

/** Waits until every row of every table is as the data files say, once each. */
const everythingLoaded = async (limit: number): Promise<void> => {
  const end = performance.now() + limit
  for (;;) {
    const wrong = await differences(folder, warehouse)
    if (wrong.length === 0) return
    if (performance.now() > end) throw new Failed(`The tables are not as the data files say:\n${wrong.join("\n")}`)
    await sleep(2 * seconds)
  }
}

/** What stopped containers ended with. */
const exitCodes = async (...services: ReadonlyArray<string>): Promise<ReadonlyArray<string>> =>
  (await compose(["ps", "--all", "--format", "{{.Service}} {{.ExitCode}}", ...services])).trim().split("\n")

const platform = async (): Promise<void> => {
  await compose(["build"], buildLimit)
  const [size = "?"] = (
    await check(
      "docker",
      run("docker", ["image", "inspect", "--format", "{{.Size}}", environment["TRIBUTARY_IMAGE"] ?? ""])
    )
  ).split("\n")
  tell(`image built: ${(Number(size) / 1e6).toFixed(0)} MB`)
  await up()
  tell("everything is healthy")

  // Stopped as an upgrade does it: in order, long before it would be killed.
  const stopped = performance.now()
  await compose(["stop", "source", "transform", "sink", "control"])
  for (const line of await exitCodes("source", "transform", "sink", "control")) {
    if (!line.endsWith(" 0")) throw new Failed(`A service that was asked to stop ended otherwise: ${line}`)
  }
  tell(`services stopped in order in ${((performance.now() - stopped) / seconds).toFixed(1)} s`)
  await up("--force-recreate")
  tell("upgraded: every container replaced while flights are loaded")

  const services = ["source", "transform", "sink", "control", "redis", "registry", "clickhouse", "kafka"]
  for (const service of services) {
    await compose(["kill", "--signal", "KILL", service])
    await up()
    tell(`${service} killed and back`)
  }
  await compose(["kill", "--signal", "KILL", ...services])
  await up("--scale", "source=3")
  tell("all killed at once, and back with three sources")
  await everythingLoaded((6 * 86_400 * seconds) / speed + 120 * seconds)
  tell("every row is there once, as the data files say")
}

/** What `deploy/up.sh` says of things that are wrong; nothing of it starts anything. */
const refusals = async (): Promise<void> => {
  const place = join(folder, "project")
  for (const file of ["deploy", ".env.example", "docker-compose.yml"])
    cpSync(join(root, file), join(place, file), { recursive: true })
  const blocker = createServer().listen(Number(environment["REGISTRY_PORT"]), "127.0.0.1")
  await once(blocker, "listening")
  const env: Readonly<Record<string, string>> = { ...environment, COMPOSE_PROJECT_NAME: `${project}-wrong` }
  const cases: ReadonlyArray<readonly [string, Readonly<Record<string, string>>, RegExp]> = [
    ["no Docker", { DOCKER_HOST: `unix://${join(folder, "none.sock")}` }, /Docker is not running/u],
    ["too little memory", { UP_MEMORY: "100000" }, /MiB of memory\. Expected 100000 GiB/u],
    ["too many processors", { KAFKA_CPUS: "1000" }, /processor\(s\), and a container is to have 1000/u],
    ["a port taken", {}, new RegExp(`port ${env["REGISTRY_PORT"] ?? ""} of 127\\.0\\.0\\.1 is taken`, "u")]
  ]
  for (const [what, variables, expected] of cases) {
    const { code, said } = await run(join(place, "deploy", "up.sh"), [], { env: { ...env, ...variables }, cwd: place })
    if (code !== 1 || !expected.test(said))
      throw new Failed(`With ${what} up.sh ended with ${code}:\n${lastLines(said)}`)
  }
  blocker.close()
  await once(blocker, "close")
  const image = { ...env, TRIBUTARY_IMAGE: "127.0.0.1:1/tributary:none" }
  const missing = await run(join(place, "deploy", "up.sh"), [], { env: image, cwd: place })
  if (missing.code !== 1 || !/image 127\.0\.0\.1:1\/tributary:none cannot be fetched/u.test(missing.said))
    throw new Failed(`Without its image up.sh ended with ${missing.code}:\n${lastLines(missing.said)}`)
  const unset = await run("docker", composeArgs(["config"]), { env: { ...environment, REDIS_PASSWORD: "" } })
  if (unset.code === 0 || !unset.said.includes("deploy/init-env.sh"))
    throw new Failed(`Without a secret docker compose ended with ${unset.code}:\n${lastLines(unset.said)}`)
  tell(
    "refused with a reason: no Docker, little memory, few processors, a port taken, an image missing, a secret missing"
  )
}

/** The tests of the ports, on servers that testcontainers start from the same tags. */
const containers = async (): Promise<void> => {
  const tests = [
    "libs/kafka/test/Kafka.integration.test.ts",
    "libs/schema-registry/test/Confluent.integration.test.ts",
    "libs/redis/test/Conformance.integration.test.ts",
    "libs/clickhouse/test/Servers.integration.test.ts"
  ]
  const env = {
    TRIBUTARY_TEST_DOCKER: "1",
    // Its clean-up container is not there where nothing can be pulled; the tests stop what they started.
    TESTCONTAINERS_RYUK_DISABLED: "true",
    TESTCONTAINERS_HOST_OVERRIDE: "127.0.0.1"
  }
  const said = await check(
    "vitest",
    run(join(root, "node_modules", ".bin", "vitest"), ["run", ...tests], { env, limit: containersLimit })
  )
  const [passed = "nothing"] = /Tests .*/u.exec(said) ?? []
  tell(`testcontainers from the same tags: ${passed}`)
}

/** What Docker has of this test, as lines. */
const left = async (): Promise<ReadonlyArray<string>> => {
  const filter = ["--quiet", "--filter", `label=com.docker.compose.project=${project}`]
  const commands = [
    ["ps", "--all", ...filter],
    ["volume", "ls", ...filter],
    ["network", "ls", ...filter]
  ]
  const found: Array<string> = []
  for (const command of commands) {
    const said = await check(`docker ${command.join(" ")}`, run("docker", command))
    found.push(
      ...said
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => `${command[0]} ${line}`)
    )
  }
  return found
}

const main = async (): Promise<number> => {
  writeFileSync(join(folder, "empty.env"), "")
  if (!answers()) {
    const because =
      process.env["TRIBUTARY_COMPOSE_TEST"] === "engine" ? "the engine that was started does not" : noEngine()
    if (because !== undefined) {
      console.log(`skipped: Docker does not answer, and ${because}`)
      return 0
    }
    console.log("Docker does not answer: an engine is started for this test (deploy/offline/engine.sh).")
    const child = spawn(engine, ["run", process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
      stdio: "inherit",
      env: { ...process.env, TRIBUTARY_COMPOSE_TEST: "engine" }
    })
    const [code]: Array<number | null> = await once(child, "close")
    return code ?? 1
  }
  const missing = await images()
  if (missing !== undefined) {
    console.log(`skipped: the image ${missing}`)
    return 0
  }
  let failed = false
  const attempt = async (what: () => Promise<void>) => {
    try {
      await what()
    } catch (error) {
      failed = true
      console.error(error instanceof Failed ? error.message : error)
    }
  }
  await attempt(refusals)
  await attempt(platform)
  await attempt(containers)
  if (failed) {
    const args = composeArgs(["logs", "--no-color", "--tail", "15"])
    console.error(lastLines((await run("docker", args, { env: environment })).said, 200))
  }
  if (flags.keep) return failed ? 1 : 0
  await attempt(async () => {
    await compose(["--profile", "load", "down", "--volumes", "--timeout", "10", "--remove-orphans"])
    await run("docker", ["image", "rm", environment["TRIBUTARY_IMAGE"] ?? ""])
    const rest = await left()
    if (rest.length > 0) throw new Failed(`Left behind: ${rest.join(", ")}`)
    tell("nothing is left behind")
  })
  return failed ? 1 : 0
}

// A test that is ended from outside cleans up too.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    const down = composeArgs(["--profile", "load", "down", "--volumes", "--timeout", "5", "--remove-orphans"])
    spawnSync("docker", down, {
      cwd: root,
      env: { ...process.env, ...environment },
      timeout: 60 * seconds,
      stdio: "ignore"
    })
    rmSync(folder, { recursive: true, force: true })
    process.exit(130)
  })
}

try {
  process.exitCode = await main()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
