import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import { env } from "node:process"
import { fileURLToPath } from "node:url"

const pom = fileURLToPath(new URL("pom.xml", import.meta.url))

const cache = (): string => join(env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tributary")

const works = (command: string, ...args: ReadonlyArray<string>): boolean =>
  spawnSync(command, args, { stdio: "ignore" }).status === 0

/** Version of Kafka that the tests run, as its Maven coordinates and its image have it. */
export const kafkaVersion = (): string => {
  const version = /<artifactId>kafka_2\.13<\/artifactId>\s*<version>([^<]+)</.exec(readFileSync(pom, "utf8"))?.[1]
  if (version === undefined) throw new Error(`${pom} names no version of kafka_2.13.`)
  return version
}

/**
 * The class path of a broker: its jars, fetched once by Maven (55 MB) into the user's cache; or why there is none, as the part
 * of a sentence.
 */
export const brokerClassPath = (): { readonly classPath: string } | { readonly missing: string } => {
  if (!works("java", "-version")) return { missing: "Java, which the broker runs on, is not installed" }
  const jars = join(cache(), `kafka-${kafkaVersion()}`)
  const failure = existsSync(jars) ? undefined : fetchInto(jars)
  if (failure !== undefined) return { missing: failure }
  return {
    classPath: readdirSync(jars)
      .filter((name) => name.endsWith(".jar"))
      .sort()
      .map((jar) => join(jars, jar))
      .join(":")
  }
}

const fetchInto = (jars: string): string | undefined => {
  if (!works("mvn", "--version")) return "Maven (mvn), which fetches the broker, is not installed"
  mkdirSync(dirname(jars), { recursive: true })
  const fresh = mkdtempSync(`${jars}-`)
  const mvn = spawnSync(
    "mvn",
    ["-B", "-q", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${fresh}`],
    { encoding: "utf8", timeout: 300_000 }
  )
  if (mvn.status !== 0) {
    rmSync(fresh, { recursive: true, force: true })
    return `Maven could not fetch the broker: ${mvn.stdout.trim().split("\n")[0] ?? "no reason given"}`
  }
  // Another test run may have been quicker.
  if (existsSync(jars)) rmSync(fresh, { recursive: true, force: true })
  else renameSync(fresh, jars)
  return undefined
}
