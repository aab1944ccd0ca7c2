/** A server that answers as a case says, down to bytes that no HTTP library would send. */
import { once } from "node:events"
import { createServer, type Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { type Answer, partsOf } from "./Answer.ts"

/** A request as the server understood it. */
export interface Asked {
  readonly method: string
  readonly target: string
  readonly headers: ReadonlyMap<string, string>
  readonly head: string
  readonly body: string
}

/** What answers the requests of a case. */
export type Answering = (asked: Asked, number: number) => Answer

const largestRequest = 8 * 1_048_576

const sizeOf = (answer: Answer): number | undefined => {
  if ("unit" in answer.body && answer.wrap.length === 0) {
    const { head, tail, times, unit } = answer.body
    return times < 0 ? undefined : Buffer.byteLength(head) + Buffer.byteLength(tail) + times * Buffer.byteLength(unit)
  }
  return undefined
}

export const startApi = async () => {
  let answering: Answering | undefined
  let number = 0
  let base = ""
  const sockets = new Set<Socket>()

  /** Resolves when the bytes have been taken, so that no more of them wait than one part. */
  const write = (socket: Socket, bytes: Buffer | string, encoding: BufferEncoding = "utf8"): Promise<void> =>
    new Promise((done, fail) => {
      if (socket.destroyed) return fail(new Error("gone"))
      socket.write(bytes, encoding, (error) => (error == null ? done() : fail(error)))
    })

  /** Sends an answer; `false`: the connection is not to be used any more. */
  const send = async (socket: Socket, asked: Asked, answer: Answer): Promise<boolean> => {
    const echo = JSON.stringify(asked.head).slice(1, -1)
    const fill = (text: string) => text.replaceAll("@BASE@", base).replaceAll("@ECHO@", echo)
    if (answer.wait > 0) await sleep(answer.wait)
    if (answer.raw !== undefined) {
      await write(socket, fill(answer.raw), "latin1")
      return false
    }
    const hasBody = asked.method !== "HEAD" && answer.status !== 204 && answer.status !== 304 && answer.status >= 200
    const isEndless = "unit" in answer.body && answer.body.times < 0
    const parts = hasBody ? partsOf(answer, fill) : [][Symbol.iterator]()
    // Bodies are made before their size is told, but for those that are made while they are sent.
    const isLarge = sizeOf(answer) !== undefined || isEndless
    const whole = isLarge ? undefined : Buffer.concat([...parts])
    const size = whole?.length ?? sizeOf(answer) ?? 0
    const framing = isEndless && answer.framing === "length" ? "chunked" : answer.framing
    const own = answer.headers.map(([name, value]) => `${name}: ${fill(value)}\r\n`).join("")
    const told =
      framing === "chunked"
        ? "transfer-encoding: chunked\r\n"
        : framing === "length"
          ? `content-length: ${size}\r\n`
          : framing === "lie"
            ? `content-length: ${size + 100}\r\n`
            : framing === "close"
              ? "connection: close\r\n"
              : ""
    await write(socket, `HTTP/1.1 ${answer.status} Some Reason\r\n${own}${told}\r\n`, "latin1")
    const most = answer.breaks >= 1 ? Infinity : Math.floor(answer.breaks * (isEndless ? 1_000_000 : size))
    let sent = 0
    for (const part of whole === undefined ? parts : cut(whole, answer.trickle > 0 ? 50 : 65_536)) {
      const bytes = part.subarray(0, Math.max(0, most - sent))
      sent += bytes.length
      if (bytes.length > 0) {
        if (framing === "chunked") await write(socket, `${bytes.length.toString(16)}\r\n`)
        await write(socket, bytes)
        if (framing === "chunked") await write(socket, "\r\n")
      }
      if (sent >= most) return false
      if (answer.trickle > 0) await sleep(answer.trickle)
    }
    if (framing === "chunked") await write(socket, "0\r\n\r\n")
    return framing === "chunked" || framing === "length"
  }

  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    socket.on("error", () => socket.destroy())
    let waiting: Buffer = Buffer.alloc(0)
    let isBusy = false
    const next = async (): Promise<void> => {
      for (;;) {
        const end = waiting.indexOf("\r\n\r\n")
        if (end < 0) return
        const head = waiting.toString("latin1", 0, end)
        const [line = "", ...lines] = head.split("\r\n")
        const headers = new Map(
          lines.map((text): readonly [string, string] => {
            const at = text.indexOf(":")
            return [text.slice(0, at).toLowerCase(), text.slice(at + 1).trim()]
          })
        )
        const length = Number(headers.get("content-length") ?? 0)
        if (waiting.length < end + 4 + length) return
        const body = waiting.toString("utf8", end + 4, end + 4 + length)
        waiting = waiting.subarray(end + 4 + length)
        const [method = "", target = ""] = line.split(" ")
        const asked: Asked = { method, target, headers, head, body }
        const answer = answering?.(asked, number++)
        if (answer === undefined || !(await send(socket, asked, answer))) {
          if (answer?.framing === "none" && answer.raw === undefined) return
          socket.end()
          return
        }
      }
    }
    socket.on("data", (chunk: Buffer) => {
      waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk])
      if (waiting.length > largestRequest) socket.destroy()
      if (isBusy) return
      isBusy = true
      next().then(
        () => (isBusy = false),
        () => socket.destroy()
      )
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  base = `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`

  return {
    base,
    /** Requests are answered so from now on, and counted anew. What is open of the case before ends. */
    use: (next: Answering | undefined): void => {
      for (const socket of sockets) socket.destroy()
      answering = next
      number = 0
    },
    requests: (): number => number,
    stop: (): void => {
      for (const socket of sockets) socket.destroy()
      server.close()
    }
  }
}

function* cut(bytes: Buffer, size: number): Generator<Buffer> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}
