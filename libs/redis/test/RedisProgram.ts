import { Effect } from "effect"
import { spawn, spawnSync } from "node:child_process"
import process from "node:process"

/** A Redis server that runs. */
export interface RedisProcess {
  /** Process id; a container's has none here. */
  readonly pid: number | undefined
  readonly running: () => boolean
  /** Ends it at once, as a crash does. */
  readonly kill: Effect.Effect<void>
  /** Stands still, without closing connections. */
  readonly pause: Effect.Effect<void>
  readonly resume: Effect.Effect<void>
}

/** A way to run a Redis server. */
export interface RedisProgram {
  readonly version: readonly [number, number]
  /** Whether it was built with TLS. */
  readonly tls: boolean
  /** Starts it with arguments of its command line; files and ports in them are this machine's. */
  readonly run: (args: ReadonlyArray<string>) => Effect.Effect<RedisProcess>
}

/** The version that `redis-server --version` prints. */
export const versionOf = (text: string): RedisProgram["version"] | undefined => {
  const found = /v=(\d+)\.(\d+)/.exec(text)
  return found === null ? undefined : [Number(found[1]), Number(found[2])]
}

/** `name` is what it is called by: some packages hold one program for several names. */
const look = (path: string, name: string): RedisProgram | undefined => {
  const version = versionOf(spawnSync(path, ["--version"], { argv0: name, encoding: "utf8" }).stdout ?? "")
  if (version === undefined) return undefined
  return {
    version,
    get tls() {
      // Only one that was built with TLS misses the certificate.
      const { stdout } = spawnSync(path, ["--port", "0", "--tls-port", "1"], {
        argv0: name,
        encoding: "utf8",
        timeout: 5000
      })
      return stdout.includes("Failed to configure TLS")
    },
    run: (args) =>
      Effect.sync(() => {
        const child = spawn(path, args, { argv0: name, stdio: "ignore" })
        const running = () => child.exitCode === null && child.signalCode === null
        const signal = (name: NodeJS.Signals) => Effect.sync(() => void child.kill(name))
        return {
          get pid() {
            return running() ? child.pid : undefined
          },
          running,
          kill: Effect.callback<void>((resume) => {
            if (!running()) return resume(Effect.void)
            child.once("close", () => resume(Effect.void))
            child.kill("SIGKILL")
          }),
          pause: signal("SIGSTOP"),
          resume: signal("SIGCONT")
        }
      })
  }
}

/** The package with the program alone, without the service that starts it. */
const install = () => {
  if (process.getuid?.() !== 0 || spawnSync("apt-get", ["--version"]).status !== 0) return
  const environment = { ...process.env, DEBIAN_FRONTEND: "noninteractive" }
  const run = (...args: ReadonlyArray<string>) =>
    spawnSync("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=120", ...args], {
      env: environment,
      stdio: "ignore",
      timeout: 180_000
    }).status
  run("update")
  run("install", "-y", "--no-install-recommends", "redis-tools")
}

const find = () =>
  look("redis-server", "redis-server") ??
  look("valkey-server", "valkey-server") ??
  look("redis-check-rdb", "redis-server")

/** The program of this machine; where the machine lets us install packages it is installed. */
export const localProgram = (): RedisProgram | { readonly missing: string } => {
  const found = find()
  if (found !== undefined) return found
  install()
  return find() ?? { missing: "no redis-server was found and none could be installed; put one on the PATH" }
}
