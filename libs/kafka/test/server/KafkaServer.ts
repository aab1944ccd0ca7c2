import { spawn, spawnSync, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { createServer } from "node:net"
import { homedir, tmpdir } from "node:os"
import { dirname, join } from "node:path"
import process, { env } from "node:process"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"

/** Where the tests find Kafka, or why they cannot run. */
export type Found =
  | { readonly brokers: ReadonlyArray<string>; readonly server?: KafkaServer }
  | { readonly missing: string }

const pom = fileURLToPath(new URL("pom.xml", import.meta.url))
/** How long a broker may take to start, milliseconds; usually 3 seconds. */
const startTimeout = 60_000

const cache = (): string => join(env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tributary")

const works = (command: string, ...args: ReadonlyArray<string>): boolean =>
  spawnSync(command, args, { stdio: "ignore" }).status === 0

/** The jars, fetched once by Maven (55 MB); the reason when that does not work. */
const fetchJars = (): { readonly jars: string } | { readonly missing: string } => {
  const version = /<artifactId>kafka_2\.13<\/artifactId>\s*<version>([^<]+)</.exec(readFileSync(pom, "utf8"))?.[1]
  const jars = join(cache(), `kafka-${version}`)
  if (existsSync(jars)) return { jars }
  if (!works("mvn", "--version")) return { missing: "Maven (mvn) is not installed, which fetches the broker" }
  mkdirSync(dirname(jars), { recursive: true })
  const fresh = mkdtempSync(`${jars}-`)
  const mvn = spawnSync(
    "mvn",
    ["-B", "-q", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${fresh}`],
    { encoding: "utf8", timeout: 300_000 }
  )
  if (mvn.status !== 0) {
    rmSync(fresh, { recursive: true, force: true })
    return { missing: `Maven could not fetch the broker: ${mvn.stdout.trim().split("\n")[0] ?? "no reason given"}` }
  }
  // Another test run may have been quicker.
  if (existsSync(jars)) rmSync(fresh, { recursive: true, force: true })
  else renameSync(fresh, jars)
  return { jars }
}

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (address === null || typeof address === "string") throw new Error("The system gave no port.")
  return address.port
}

const properties = (directory: string, port: number, controller: number): string => `
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=PLAINTEXT://127.0.0.1:${port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=${join(directory, "data")}
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# Fits a heap of 256 MB: the cleaner's map is 128 MB by default.
log.cleaner.dedupe.buffer.size=8388608
num.network.threads=2
num.io.threads=4
# The controller takes a broker for gone sooner, so that one that crashed may come back.
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
# What takes minutes otherwise.
log.initial.task.delay.ms=500
log.retention.check.interval.ms=500
log.segment.delete.delay.ms=100
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
`

const logging = `
status = error
appender.f.type = Console
appender.f.name = f
appender.f.layout.type = PatternLayout
appender.f.layout.pattern = [%d] %p %m (%c)%n
rootLogger.level = info
rootLogger.appenderRef.f.ref = f
`

/** One broker of its own, on a free port of this machine. */
export class KafkaServer {
  readonly address: string
  readonly #directory: string
  readonly #jars: string
  #process: ChildProcess | undefined
  readonly #atExit = (): void => {
    this.#process?.kill("SIGKILL")
  }

  private constructor(directory: string, jars: string, port: number) {
    this.#directory = directory
    this.#jars = jars
    this.address = `127.0.0.1:${port}`
  }

  static async start(jars: string): Promise<KafkaServer> {
    const directory = mkdtempSync(join(tmpdir(), "tributary-kafka-"))
    const port = await freePort()
    writeFileSync(join(directory, "server.properties"), properties(directory, port, await freePort()))
    writeFileSync(join(directory, "log4j2.properties"), logging)
    const server = new KafkaServer(directory, jars, port)
    const format = spawnSync(
      "java",
      server.#java("kafka.tools.StorageTool", "format", "-t", "bG9jYWxkZXZjbHVzdGVyMQ", "-c", server.#config),
      { encoding: "utf8" }
    )
    if (format.status !== 0) throw new Error(`Kafka's storage could not be formatted: ${format.stdout}${format.stderr}`)
    process.on("exit", server.#atExit)
    await server.restart()
    return server
  }

  get #config(): string {
    return join(this.#directory, "server.properties")
  }

  #java(main: string, ...args: ReadonlyArray<string>): Array<string> {
    const jars = readdirSync(this.#jars).map((jar) => join(this.#jars, jar))
    return [
      "-Xms64m",
      "-Xmx256m",
      "-XX:+UseSerialGC",
      // Starts sooner; there is no time to get warm.
      "-XX:TieredStopAtLevel=1",
      "-Djava.net.preferIPv4Stack=true",
      `-Dlog4j2.configurationFile=${join(this.#directory, "log4j2.properties")}`,
      "-cp",
      jars.join(":"),
      main,
      ...args
    ]
  }

  /** Starts the broker again on its data, after `kill`. */
  async restart(): Promise<void> {
    const log = join(this.#directory, "server.log")
    const out = openSync(log, "w")
    const child = spawn("java", this.#java("kafka.Kafka", this.#config), { stdio: ["ignore", out, out] })
    closeSync(out)
    this.#process = child
    for (let waited = 0; waited < startTimeout; waited += 50) {
      if (readFileSync(log, "utf8").includes("Kafka Server started")) return
      if (child.exitCode !== null) break
      await sleep(50)
    }
    child.kill("SIGKILL")
    throw new Error(`Kafka did not start:\n${readFileSync(log, "utf8").slice(-2000)}`)
  }

  /** Ends the broker at once, as a crash does. */
  async kill(): Promise<void> {
    const child = this.#process
    this.#process = undefined
    if (child === undefined || child.exitCode !== null) return
    child.kill("SIGKILL")
    await once(child, "exit")
  }

  async stop(): Promise<void> {
    await this.kill()
    process.off("exit", this.#atExit)
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

/**
 * The Kafka that `TRIBUTARY_KAFKA` names (brokers, separated by commas), or a broker that is started here; it needs Java 17,
 * and Maven for the first time.
 */
export const findKafka = async (): Promise<Found> => {
  const given = env["TRIBUTARY_KAFKA"]
  if (given !== undefined && given !== "") return { brokers: given.split(",") }
  if (!works("java", "-version")) return { missing: "TRIBUTARY_KAFKA is not set, and Java is not installed" }
  const fetched = fetchJars()
  if ("missing" in fetched) return { missing: `TRIBUTARY_KAFKA is not set, and ${fetched.missing}` }
  const server = await KafkaServer.start(fetched.jars)
  return { brokers: [server.address], server }
}
