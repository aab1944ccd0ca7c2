// What `npm start` runs: the airline API in a process of its own, and Tributary on the embedded engine in this one.
//   npm start                 stays live until Ctrl-C; flights keep arriving
//   npm start -- --once       loads all of January 2013 and ends
import process from "node:process"
import { engine, query, runOnce, runProcess, Screen, serve } from "@tributary/cli"
import { Clock, Effect, Fiber, Schedule } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"
import { defaults } from "./api/settings.ts"

const { values: flags } = parseArgs({
  options: {
    once: { type: "boolean", default: false },
    data: { type: "string", default: join(import.meta.dirname, ".tributary") },
    speed: { type: "string", default: "3600" },
    json: { type: "boolean", default: false }
  }
})

const connectors = join(import.meta.dirname, "connectors")
const data = resolve(flags.data)

/** How far January has come, in days: the next start goes on there, as the tables do. */
const calendar = join(data, "january.json")
const savedDays = (): number => {
  if (!existsSync(calendar)) return defaults.historyDays
  const saved: unknown = JSON.parse(readFileSync(calendar, "utf8"))
  const days = typeof saved === "object" && saved !== null && "days" in saved ? Number(saved.days) : Number.NaN
  return days >= 0 && days <= 31 ? days : defaults.historyDays
}
const beganAt = flags.once ? 31 : savedDays()

/** Starts the API and waits for the line in which it says where it listens. */
const startApi = (secret: string) =>
  new Promise<{ readonly url: string; readonly process: ChildProcess }>((done, fail) => {
    const args = [
      "--port",
      "0",
      ...(flags.once ? ["--once"] : ["--speed", flags.speed, "--history-days", String(beganAt)])
    ]
    const api = spawn(process.execPath, [join(import.meta.dirname, "api", "main.ts"), ...args], {
      // Its standard input is ours: when this process is gone, it ends too.
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, FLIGHTS_CLIENT_SECRET: secret }
    })
    api.once("error", fail)
    api.once("exit", (code) => fail(new Error(`The example API ended with code ${code} before it was ready.`)))
    createInterface({ input: api.stdout }).once("line", (line) => {
      const ready: { readonly url: string } = JSON.parse(line)
      done({ url: ready.url, process: api })
    })
  })

const delays = "SELECT * FROM nyc.airline_delays LIMIT 20"
const shownTo = (target: string) => `npm run tributary -- ${target} -c ${connectors} --data ${data}`

const afterwards = `
What to try next (each in another terminal):
  ${shownTo("status")}
  ${shownTo("tap flights.flights --last 5")}
  ${shownTo('query "SELECT origin, count(), avg(departure_delay) FROM nyc.flights FINAL GROUP BY origin"')}
  Change a transform in ${join(connectors, "flights.yaml")}: it is taken up at once.
`

const showDelays = Effect.gen(function* () {
  const screen = yield* Screen
  if (flags.json) return
  yield* screen.print("\nMean departure delay in January 2013, by airline (from ClickHouse):")
  yield* query(delays, false)
})

const secret = randomBytes(24).toString("base64url")
process.env["FLIGHTS_CLIENT_SECRET"] = secret
process.env["FLIGHTS_SALT"] ??= "new-york-2013"
mkdirSync(data, { recursive: true, mode: 0o700 })

const api = Effect.acquireRelease(
  Effect.tryPromise(() => startApi(secret)),
  ({ process: child }) => Effect.sync(() => child.kill("SIGTERM"))
).pipe(
  Effect.tap(({ url }) =>
    Effect.sync(() => {
      process.env["FLIGHTS_URL"] = url
    })
  )
)

/** Keeps the calendar while the API's clock runs. */
const keepCalendar = Effect.gen(function* () {
  const from = yield* Clock.currentTimeMillis
  const save = Effect.map(Clock.currentTimeMillis, (now) => {
    const passed = ((now - from) / 1000) * (Number(flags.speed) / 86_400)
    writeFileSync(calendar, JSON.stringify({ days: Math.min(31, beganAt + passed) }))
  })
  yield* Effect.addFinalizer(() => save)
  yield* Effect.forkScoped(Effect.repeat(save, Schedule.spaced("1 second")))
})

const program = Effect.gen(function* () {
  // The API and the engine start side by side.
  const starting = yield* Effect.forkScoped(api, { startImmediately: true })
  const options = { connectors, json: flags.json }
  const screen = yield* Screen
  const live = Effect.gen(function* () {
    const { url } = yield* Fiber.join(starting)
    if (flags.once) return yield* Effect.andThen(runOnce(options), showDelays)
    yield* screen.note(`The example API is at ${url}; Tributary keeps its data in ${data}. Ctrl-C stops both.`)
    yield* keepCalendar
    if (beganAt >= 31) yield* screen.note(`All of January has arrived. To see it arrive again, delete ${data}.`)
    const services = yield* Effect.context<Effect.Services<typeof showDelays>>()
    yield* serve({
      ...options,
      watch: true,
      onCaughtUp: showDelays.pipe(
        Effect.andThen(screen.print(afterwards)),
        Effect.catch((error) => screen.note(`The delays cannot be shown: ${error.message}`)),
        Effect.provideContext(services)
      )
    })
  })
  yield* Effect.provide(live, engine(data))
}).pipe(Effect.scoped)

runProcess(program, { stopCode: () => (flags.once ? 130 : 0) })
