// Deliveries per second through the webhook receiver (signature checked, in the log when they are answered), beside a bare node:http server
// that only checks the signature, and beside bare appends to the same log. Each in a process of its own, one after the other, in rounds.
//   npm run bench:webhooks
//   npm run bench:webhooks -- --deliveries 60000 --body 1000 --connections 64 --rounds 3
import { Connector, inboxTopic } from "@tributary/domain"
import { Log, SqliteLog } from "@tributary/log"
import { Environment, Secrets } from "@tributary/secrets"
import { WebhookReceiver } from "@tributary/source"
import { Effect, Layer, Logger, Schema } from "effect"
import { spawn } from "node:child_process"
import { createHmac, timingSafeEqual } from "node:crypto"
import { once } from "node:events"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: {
    deliveries: { type: "string", default: "60000" },
    body: { type: "string", default: "1000" },
    connections: { type: "string", default: "64" },
    rounds: { type: "string", default: "3" },
    server: { type: "string" }
  }
})
const deliveries = Number(values.deliveries)
const body = Number(values.body)
const connections = Number(values.connections)
const rounds = Number(values.rounds)
const secret = "a secret of the bench"
const path = "/webhooks/bench/hooks"
const say = (line: string) => void process.stdout.write(`${line}\n`)

/** What a process did: deliveries per second, and its own CPU time for a thousand of them, milliseconds. */
interface Score {
  readonly perSecond: number
  readonly cpu: number
}

const signatureOf = (text: string | Buffer): string =>
  `sha256=${createHmac("sha256", secret).update(text).digest("hex")}`

const decode: (file: unknown) => Connector = Schema.decodeUnknownSync(Connector)
const connector = decode({
  connector: "bench",
  streams: { hooks: { webhook: { signature: "github", secret: "${env:BENCH_SECRET}" } } }
})

const withLog = <A, E>(work: Effect.Effect<A, E, Log | Secrets | WebhookReceiver>): Promise<A> => {
  const directory = mkdtempSync(join(tmpdir(), "tributary-webhooks-"))
  const services = Layer.mergeAll(
    SqliteLog.layer({ directory }),
    Secrets.layer.pipe(Layer.provide(Layer.succeed(Environment, { BENCH_SECRET: secret }))),
    WebhookReceiver.layer({ host: "127.0.0.1", port: 0 }),
    Logger.layer([])
  )
  return Effect.runPromise(Effect.provide(work, services)).finally(() =>
    rmSync(directory, { recursive: true, force: true })
  )
}

/** Runs until the parent says that it is over, then tells what it cost. */
const untilOver = async (url: string): Promise<void> => {
  const before = process.cpuUsage()
  say(url)
  await once(process.stdin, "data")
  const { system, user } = process.cpuUsage(before)
  say(String((system + user) / 1000))
}

const servers: Readonly<Record<string, () => Promise<void>>> = {
  bare: async () => {
    const server = createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const given = Buffer.from(String(request.headers["x-hub-signature-256"]))
        const wanted = Buffer.from(signatureOf(Buffer.concat(chunks)))
        const isRight = given.length === wanted.length && timingSafeEqual(given, wanted)
        response.writeHead(isRight ? 200 : 401, { "content-type": "text/plain; charset=utf-8" })
        response.end("ok\n")
      })
    }).listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    await untilOver(`http://127.0.0.1:${typeof address === "object" ? (address?.port ?? 0) : 0}`)
    server.closeAllConnections()
    server.close()
  },
  receiver: () =>
    withLog(
      Effect.gen(function* () {
        const receiver = yield* WebhookReceiver
        yield* Effect.forkScoped(receiver.receive(connector, "."))
        let url: string | undefined
        while (url === undefined) {
          yield* Effect.sleep("20 millis")
          url = yield* receiver.address
        }
        yield* Effect.promise(() => untilOver(url ?? ""))
      }).pipe(Effect.scoped)
    ),
  append: () =>
    withLog(
      Effect.gen(function* () {
        const log = yield* Log
        const topic = inboxTopic("bench", "hooks")
        yield* log.ensureTopic({ name: topic, partitions: 1 })
        const value = Buffer.alloc(body, "x")
        const before = process.cpuUsage()
        const began = performance.now()
        for (let at = 0; at < deliveries; at += connections) {
          yield* log.publish(
            Array.from({ length: connections }, (_, index) => ({ topic, key: Buffer.from(`id:${at + index}`), value }))
          )
        }
        const took = performance.now() - began
        const { system, user } = process.cpuUsage(before)
        say(JSON.stringify({ perSecond: (deliveries / took) * 1000, cpu: (system + user) / deliveries }))
      })
    )
}

/** Deliveries that are sent, each signed; some thousands of them, again and again. */
const requests = (): ReadonlyArray<Buffer> =>
  Array.from({ length: 4000 }, (_, index) => {
    const text = `{"id":"${index}","text":"${"x".repeat(Math.max(0, body - 24))}"}`
    return Buffer.from(
      `POST ${path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\nx-github-delivery: d-${index}\r\n` +
        `x-hub-signature-256: ${signatureOf(text)}\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
    )
  })

/** One connection: a request at a time, while there are any. */
const sender = (port: number, next: () => Buffer | undefined): Promise<void> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1")
    const send = () => {
      const request = next()
      if (request === undefined) socket.end(() => resolve())
      else socket.write(request)
    }
    socket.setNoDelay(true)
    socket.once("connect", send)
    socket.on("error", reject)
    socket.on("data", (chunk) => {
      const text = chunk.toString("latin1")
      // The answers are short: each comes as a whole.
      if (text.startsWith("HTTP/1.1 200 ")) send()
      else reject(new Error(`a delivery was answered with ${text.slice(0, 100)}`))
    })
  })

const measure = async (name: string, all: ReadonlyArray<Buffer>): Promise<Score> => {
  const args = Object.entries({ ...values, server: name }).flatMap(([key, value]) => [`--${key}=${value}`])
  const child = spawn(process.execPath, ["--max-semi-space-size=8", import.meta.filename, ...args], {
    stdio: ["pipe", "pipe", "inherit"]
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const line = async () => String((await lines.next()).value)
  const ended = once(child, "exit")
  const first = await line()
  if (name === "append") {
    await ended
    const score: Score = JSON.parse(first)
    return score
  }
  const port = Number(new URL(first).port)
  let sent = 0
  const began = performance.now()
  const next = () => (sent < deliveries ? all[sent++ % all.length] : undefined)
  await Promise.all(Array.from({ length: connections }, () => sender(port, next)))
  const took = performance.now() - began
  child.stdin.write("over\n")
  const cpu = Number(await line()) / deliveries
  child.stdin.end()
  await ended
  return { perSecond: (deliveries / took) * 1000, cpu: cpu * 1000 }
}

const median = (numbers: ReadonlyArray<number>): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0

const compare = async (): Promise<void> => {
  const all = requests()
  const names = ["bare", "append", "receiver"]
  const scores = new Map<string, Array<Score>>(names.map((name) => [name, []]))
  say(`${deliveries} deliveries of ${body} bytes over ${connections} connections`)
  for (let round = 0; round < rounds; round++) {
    for (const name of names) scores.get(name)?.push(await measure(name, all))
  }
  const of = (name: string, what: keyof Score) => median((scores.get(name) ?? []).map((score) => score[what]))
  const told: Readonly<Record<string, string>> = {
    bare: "node:http, only the signature",
    append: `the log alone, ${connections} at a time`,
    receiver: "the receiver: both"
  }
  for (const name of names) {
    const rate = of(name, "perSecond")
    say(
      `${name.padEnd(9)} ${rate.toFixed(0).padStart(7)} per second, ${of(name, "cpu").toFixed(1)} µs of CPU each  (${told[name]})`
    )
  }
  say(`receiver to bare: ${(of("receiver", "perSecond") / of("bare", "perSecond")).toFixed(2)} of its rate`)
  say(
    `receiver to the two one after the other: ${(of("receiver", "perSecond") * (1 / of("bare", "perSecond") + 1 / of("append", "perSecond"))).toFixed(2)} of their rate`
  )
  say(`CPU: ${(of("receiver", "cpu") / (of("bare", "cpu") + of("append", "cpu"))).toFixed(2)} of both together`)
}

if (values.server === undefined) await compare()
else await servers[values.server]?.()
