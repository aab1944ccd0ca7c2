// A server that speaks the protocols of AWS: moto (https://docs.getmoto.org), in a Python of its own, made once in the user's cache.
import { pythonWith } from "@tributary/testkit"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import process from "node:process"

const version = "5.2.5"
const wanted = `moto[server,kms,secretsmanager]==${version}`

const found = pythonWith(`moto-${version}`, wanted)

/** Why it cannot be run; `undefined`: it can. */
export const missing = "missing" in found ? found.missing : undefined
if (missing !== undefined) process.stderr.write(`Tests with moto are skipped: ${missing}.\n`)

/** Starts it at a free port; gives its address. Ended with the scope. */
export const motoServer = Effect.gen(function* () {
  if ("missing" in found) return yield* Effect.die(found.missing)
  const { python } = found
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(python, ["-m", "moto.server", "-H", "127.0.0.1", "-p", "0"], { stdio: ["ignore", "pipe", "pipe"] })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  return yield* Effect.callback<string>((resume) => {
    let said = ""
    const look = (part: Buffer) => {
      said += part.toString()
      const url = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(said)?.[1]
      if (url !== undefined) resume(Effect.succeed(url))
    }
    child.stdout.on("data", look)
    child.stderr.on("data", look)
    child.on("close", () => resume(Effect.die(new Error(`moto ended by itself: ${said}`))))
  })
})
