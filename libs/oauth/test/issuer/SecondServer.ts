import { freePort } from "@tributary/testkit"
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import { env } from "node:process"
import { setTimeout as delay } from "node:timers/promises"

const pom = join(import.meta.dirname, "pom.xml")

const works = (command: string, ...args: ReadonlyArray<string>): boolean =>
  spawnSync(command, args, { stdio: "ignore" }).status === 0

/** The server's jars, fetched once by Maven (29 MB) into the user's cache; or why there are none, as the part of a sentence. */
const jars = (): { readonly folder: string } | { readonly missing: string } => {
  const version = /<version>(\d[^<]+\.\d[^<]*)</u.exec(readFileSync(pom, "utf8"))?.[1] ?? "unknown"
  const folder = join(env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "tributary", `mock-oauth2-server-${version}`)
  if (existsSync(folder)) return { folder }
  if (!works("mvn", "--version")) return { missing: "Maven (mvn), which fetches it, is not installed" }
  mkdirSync(dirname(folder), { recursive: true })
  const fresh = mkdtempSync(`${folder}-`)
  const mvn = spawnSync(
    "mvn",
    ["-B", "-q", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${fresh}`],
    { encoding: "utf8", timeout: 300_000 }
  )
  if (mvn.status !== 0) {
    rmSync(fresh, { recursive: true, force: true })
    return { missing: `Maven could not fetch it: ${mvn.stdout.trim().split("\n")[0] ?? "no reason given"}` }
  }
  // Another run may have been quicker.
  if (existsSync(folder)) rmSync(fresh, { recursive: true, force: true })
  else renameSync(fresh, folder)
  return { folder }
}

export interface SecondServer {
  readonly issuer: string
  readonly stop: () => Promise<void>
}

const end = async (child: ChildProcess): Promise<void> => {
  const closed = new Promise((resolve) => child.once("close", resolve))
  child.kill("SIGTERM")
  await closed
}

/**
 * mock-oauth2-server (NAV, on Nimbus' OAuth SDK): a server that shares no code with oidc-provider or with this library. It issues to
 * any client and asks no person, but its protocol is real: discovery, PKCE, ID tokens, JWKS, refresh, introspection, revocation.
 */
export const startSecondServer = async (): Promise<SecondServer | { readonly missing: string }> => {
  if (!works("java", "-version")) return { missing: "Java, which it runs on, is not installed" }
  const found = jars()
  if ("missing" in found) return found
  const port = await freePort()
  const child = spawn(
    "java",
    ["-Xmx192m", "-cp", join(found.folder, "*"), "no.nav.security.mock.oauth2.StandaloneMockOAuth2ServerKt"],
    {
      stdio: ["ignore", "ignore", "pipe"],
      env: {
        PATH: env["PATH"],
        SERVER_HOSTNAME: "127.0.0.1",
        SERVER_PORT: String(port),
        JSON_CONFIG: JSON.stringify({ interactiveLogin: false, rotateRefreshToken: true })
      }
    }
  )
  let said = ""
  child.stderr?.on("data", (part: Buffer) => (said += part.toString()))
  const issuer = `http://127.0.0.1:${port}/tributary`
  const until = performance.now() + 60_000
  while (performance.now() < until && child.exitCode === null) {
    // oxlint-disable-next-line eslint/no-restricted-globals -- asks whether a server of another process is there
    const answers = await fetch(`${issuer}/.well-known/openid-configuration`).then(
      async (response) => {
        await response.body?.cancel()
        return response.ok
      },
      () => false
    )
    if (answers) return { issuer, stop: () => end(child) }
    await delay(100)
  }
  if (child.exitCode === null) await end(child)
  return { missing: `it did not start: ${said.trim().split("\n").slice(-3).join(" ") || "it says nothing"}` }
}
