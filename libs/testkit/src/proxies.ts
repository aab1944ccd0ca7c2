import { createServer, type IncomingMessage, request as httpRequest, type Server } from "node:http"
import { connect, createServer as createTcpServer, type Server as TcpServer, type Socket } from "node:net"
import { Effect, type Scope } from "effect"

/** Listens on a free port of this machine until the scope closes; succeeds with the port. */
export const listening = (server: TcpServer | Server): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      const sockets = new Set<Socket>()
      server.on("connection", (socket: Socket) => {
        sockets.add(socket)
        socket.on("error", () => {})
        socket.once("close", () => sockets.delete(socket))
      })
      server.once("close", () => {
        for (const socket of sockets) socket.destroy()
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () =>
      Effect.sync(() => {
        server.close()
        server.emit("close")
      })
  )

const join = (one: Socket, other: Socket): void => {
  one.pipe(other)
  other.pipe(one)
  one.on("error", () => other.destroy())
  other.on("error", () => one.destroy())
}

/** A proxy that wants credentials, for plain requests and for tunnels. */
export const proxy = Effect.gen(function* () {
  const asked: Array<string> = []
  const expected = `Basic ${Buffer.from("user:p@ss").toString("base64")}`
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    if (request.headers["proxy-authorization"] !== expected) {
      response.writeHead(407)
      response.end()
      return
    }
    const target = new URL(request.url ?? "")
    const passed = httpRequest(target, { method: request.method ?? "GET" }, (answer) => {
      response.writeHead(answer.statusCode ?? 500)
      answer.pipe(response)
    })
    request.pipe(passed)
  })
  server.on("connect", (request: IncomingMessage, socket: Socket) => {
    asked.push(`CONNECT ${request.url}`)
    if (request.headers["proxy-authorization"] !== expected) {
      socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
      return
    }
    const [host = "", port = ""] = (request.url ?? "").split(":")
    const through = connect(Number(port), host, () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n")
      join(through, socket)
    })
    through.on("error", () => socket.destroy())
  })
  const port = yield* listening(server)
  return { asked, url: (user: string) => `http://${user}@127.0.0.1:${port}` }
})

/** Bytes of a socket, so many at a time. */
const reading = (socket: Socket) => {
  const chunks: Array<Buffer> = []
  let wake = () => {}
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk)
    wake()
  })
  return async (count: number): Promise<Buffer> => {
    for (;;) {
      const all = Buffer.concat(chunks)
      if (all.length >= count) {
        chunks.splice(0, chunks.length, all.subarray(count))
        return all.subarray(0, count)
      }
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  }
}

/** A SOCKS proxy (RFC 1928) that wants a name and a password (RFC 1929). */
export const socksProxy = Effect.gen(function* () {
  const asked: Array<string> = []
  const serve = async (socket: Socket): Promise<void> => {
    const read = reading(socket)
    const [, methods = 0] = await read(2)
    const offered = await read(methods)
    if (!offered.includes(2)) return void socket.end(Buffer.from([5, 0xff]))
    socket.write(Buffer.from([5, 2]))
    const [, nameLength = 0] = await read(2)
    const name = (await read(nameLength)).toString()
    const [passwordLength = 0] = await read(1)
    const password = (await read(passwordLength)).toString()
    if (name !== "user" || password !== "p@ss") return void socket.end(Buffer.from([1, 1]))
    socket.write(Buffer.from([1, 0]))
    const [, , , kind = 0] = await read(4)
    const host = kind === 1 ? [...(await read(4))].join(".") : (await read((await read(1))[0] ?? 0)).toString()
    const port = (await read(2)).readUInt16BE()
    asked.push(`${host}:${port}`)
    const through = connect(port, host, () => {
      socket.write(Buffer.from([5, 0, 0, 1, 127, 0, 0, 1, 0, 0]))
      socket.removeAllListeners("data")
      join(through, socket)
    })
    through.on("error", () => socket.end(Buffer.from([5, 5, 0, 1, 0, 0, 0, 0, 0, 0])))
  }
  const port = yield* listening(createTcpServer((socket) => void serve(socket)))
  return { asked, url: (user: string) => `socks5://${user}@127.0.0.1:${port}` }
})
