import { env, stderr } from "node:process"
import { setTimeout as sleep } from "node:timers/promises"

/** The ways by which tests come to a server, tried in this order. */
export interface ServerWays<A> {
  /** The server's name, as in "Kafka". */
  readonly name: string
  /** Left out where the tests need a server that they may end. */
  readonly given?: {
    /** Environment variable that names a server which is there already, as in "TRIBUTARY_KAFKA". */
    readonly variable: string
    readonly server: (value: string) => A
  }
  /** Its container. `TRIBUTARY_TEST_LOCAL=1` leaves this way out, `TRIBUTARY_TEST_DOCKER=1` the next. */
  readonly docker: {
    /** Fails when no Docker answers. */
    readonly probe: () => Promise<unknown>
    readonly start: () => Promise<A>
  }
  /** A process of this machine, or what it lacks, as the part of a sentence. */
  readonly local: () => Promise<A | { readonly missing: string }>
}

/** How long Docker may take to answer, milliseconds. */
const probeTimeout = 10_000

const reason = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).trim().split("\n")[0] ?? "no reason given"

/** Tests say why they do not run, or not as one might think, where it is seen: skipped ones are not listed. */
const tell = (line: string): void => void stderr.write(`${line}\n`)

const fromDocker = async <A>(ways: ServerWays<A>): Promise<{ readonly found: A } | { readonly because: string }> => {
  if (env["TRIBUTARY_TEST_LOCAL"] === "1") return { because: "Docker is left out by TRIBUTARY_TEST_LOCAL" }
  const answers = await Promise.race([
    ways.docker.probe().then(
      () => undefined,
      (error: unknown) => reason(error)
    ),
    sleep(probeTimeout, `no answer in ${probeTimeout / 1000} seconds`, { ref: false })
  ])
  if (answers !== undefined) return { because: `Docker does not answer (${answers})` }
  try {
    return { found: await ways.docker.start() }
  } catch (error) {
    const because = `Docker could not run it (${reason(error)})`
    tell(`${ways.name} for tests: ${because}; it is started on this machine instead.`)
    return { because }
  }
}

/**
 * The server that tests run against: the one that the environment names, else a container where Docker answers, else a process
 * of this machine, else none, and why.
 */
export const findServer = async <A>(ways: ServerWays<A>): Promise<A | { readonly missing: string }> => {
  const value = (ways.given && env[ways.given.variable]?.trim()) ?? ""
  if (ways.given !== undefined && value !== "") return ways.given.server(value)
  const docker = await fromDocker(ways)
  if ("found" in docker) return docker.found
  if (env["TRIBUTARY_TEST_DOCKER"] === "1")
    throw new Error(`No ${ways.name} for tests: ${docker.because}, and TRIBUTARY_TEST_DOCKER allows no other way.`)
  const local = await ways.local()
  if (typeof local !== "object" || local === null || !("missing" in local)) return local
  const missing = `no ${ways.name}: ${ways.given === undefined ? "" : `${ways.given.variable} is not set; `}${docker.because}; ${String(local.missing)}`
  tell(`Tests are skipped, ${missing}.`)
  return { missing }
}
