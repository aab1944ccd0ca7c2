import { assert, describe, it } from "@effect/vitest"
import { listening } from "@tributary/testkit"
import { Effect, Redacted } from "effect"
import { createServer, type LookupFunction, type Socket } from "node:net"
import { buildConnector } from "undici"
import { proxyAddress, throughProxy } from "../src/Proxies.ts"

const timeout = 400

/** A proxy that answers each of its client's messages with the next of these texts, in hexadecimal; nothing more behind the last. */
const scripted = (answers: ReadonlyArray<string>, end: (socket: Socket) => void) =>
  listening(
    createServer((socket) => {
      let next = 0
      socket.on("data", () => {
        const answer = answers[next++]
        if (answer === undefined) end(socket)
        else socket.write(Buffer.from(answer, "hex"))
      })
    })
  )

const keepSilent = () => {}

/** What the connection through a proxy fails with, and how long that took. */
const failureOf = (proxy: string, lookup?: LookupFunction) =>
  Effect.callback<{ readonly code: string; readonly millis: number }>((resume) => {
    const address = proxyAddress(proxy)
    if (address === undefined) return resume(Effect.succeed({ code: "setting", millis: 0 }))
    const began = performance.now()
    const connect = throughProxy(Redacted.make(address), buildConnector({ timeout }), {
      timeout,
      ...(lookup === undefined ? {} : { lookup })
    })
    const target = { hostname: "id.example", host: "id.example", protocol: "https:", port: "443" }
    connect(target, (...[error]) => {
      const code = error !== null && "code" in error ? String(error.code) : "connected"
      resume(Effect.succeed({ code, millis: performance.now() - began }))
    })
  })

describe("a SOCKS proxy", () => {
  it.live.each([
    ["answers with a version of its own", ["0500", "04000001000000000000"], keepSilent, "no SOCKS5"],
    ["answers with a code that nobody knows", ["0500", "05420001000000000000"], keepSilent, "no SOCKS5"],
    ["does not reach the server", ["0500", "05040001000000000000"], keepSilent, "HostUnreachable"],
    ["takes the credentials and goes away", ["0502", "0100"], (socket: Socket) => socket.destroy(), "closed"],
    ["resets", ["0500"], (socket: Socket) => socket.resetAndDestroy(), "ECONNRESET"],
    ["stops in the middle", ["0500", "0500000100"], keepSilent, "timeout"]
  ] as const)("that %s", ([, answers, end, code]) =>
    Effect.gen(function* () {
      const port = yield* scripted(answers, end)
      const failed = yield* failureOf(`socks5://user:canary@127.0.0.1:${port}`)
      assert.strictEqual(failed.code, code)
    }).pipe(Effect.scoped)
  )
})

describe("a proxy", () => {
  it.live.each([
    ["SOCKS", "socks5", `050005000003ff${"78".repeat(200)}`],
    ["HTTP", "http", Buffer.from(`HTTP/1.1 200 OK\r\nx: ${"x".repeat(200)}`).toString("hex")]
  ] as const)("of %s that sends a byte now and then has no more time than one that is silent", ([, protocol, bytes]) =>
    Effect.gen(function* () {
      const port = yield* listening(
        createServer((socket) => {
          let next = 0
          const drip = setInterval(() => socket.write(Buffer.from(bytes, "hex").subarray(next++, next)), timeout / 8)
          socket.once("close", () => clearInterval(drip))
        })
      )
      const failed = yield* failureOf(`${protocol}://127.0.0.1:${port}`)
      assert.strictEqual(failed.code, "timeout")
      assert.isBelow(failed.millis, 1.5 * timeout)
    }).pipe(Effect.scoped)
  )

  it.live.each(["socks5", "http"])("of %s that is found late has less time to answer", (protocol) =>
    Effect.gen(function* () {
      const port = yield* listening(createServer(keepSilent))
      const late: LookupFunction = (_, __, found) => {
        AbortSignal.timeout(timeout * 0.75).addEventListener("abort", () =>
          found(null, [{ address: "127.0.0.1", family: 4 }])
        )
      }
      const failed = yield* failureOf(`${protocol}://proxy.example:${port}`, late)
      assert.strictEqual(failed.code, "timeout")
      assert.isBelow(failed.millis, 1.5 * timeout)
    }).pipe(Effect.scoped)
  )

  it("whose name or password cannot be sent is none", () => {
    const long = "x".repeat(256)
    for (const [text, isOne] of [
      [`socks5://user:${long}@proxy.example`, false],
      [`socks5://${long}:secret@proxy.example`, false],
      [`socks5://user:${"x".repeat(255)}@proxy.example`, true],
      [`socks5://user:${"%C3%A4".repeat(128)}@proxy.example`, false],
      [`http://user:${long}@proxy.example`, true],
      ["http://user:100%@proxy.example", false],
      ["socks5://user:100%@proxy.example", false],
      ["socks5://user:100%25@proxy.example", true]
    ] as const) {
      assert.strictEqual(proxyAddress(text) !== undefined, isOne, text)
    }
  })
})
