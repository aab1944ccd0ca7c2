import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import { env } from "node:process"

/** Version of Apicurio Registry that the tests run; the newest that Java 17 runs. */
export const registryVersion = "3.0.9"

const artifact = `io.apicurio:apicurio-registry-app:${registryVersion}:tar.gz:all`
const cache = (): string => join(env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tributary")

const works = (command: string, ...args: ReadonlyArray<string>): boolean =>
  spawnSync(command, args, { stdio: "ignore" }).status === 0

const programIn = (directory: string): string | undefined =>
  readdirSync(directory).find((name) => name === "quarkus-run.jar" || name.endsWith("-runner.jar"))

/**
 * The registry's program, fetched once by Maven (104 MB) into the user's cache; or why there is none, as the part of a
 * sentence.
 */
export const registryProgram = (): { readonly jar: string } | { readonly missing: string } => {
  if (!works("java", "-version")) return { missing: "Java, which the registry runs on, is not installed" }
  const directory = join(cache(), `apicurio-${registryVersion}`)
  const failure = existsSync(directory) ? undefined : fetchInto(directory)
  if (failure !== undefined) return { missing: failure }
  const jar = programIn(directory)
  return jar === undefined ? { missing: `${directory} holds no registry; remove it` } : { jar: join(directory, jar) }
}

const fetchInto = (directory: string): string | undefined => {
  if (!works("mvn", "--version")) return "Maven (mvn), which fetches the registry, is not installed"
  mkdirSync(dirname(directory), { recursive: true })
  const fresh = mkdtempSync(`${directory}-`)
  const archive = join(fresh, "registry.tar.gz")
  try {
    const mvn = spawnSync(
      "mvn",
      [
        "-B",
        "-q",
        "-ntp",
        // This version does not ask for the artifact's parent, which is not published.
        "org.apache.maven.plugins:maven-dependency-plugin:2.8:get",
        "-Dtransitive=false",
        `-Dartifact=${artifact}`,
        `-Ddest=${archive}`
      ],
      { encoding: "utf8", timeout: 300_000 }
    )
    if (mvn.status !== 0)
      return `Maven could not fetch the registry: ${mvn.stdout.trim().split("\n")[0] ?? "no reason given"}`
    if (!works("tar", "xzf", archive, "-C", fresh)) return "tar could not unpack the registry"
    rmSync(archive)
    // Another test run may have been quicker.
    if (!existsSync(directory)) renameSync(fresh, directory)
    return undefined
  } finally {
    rmSync(fresh, { recursive: true, force: true })
  }
}
