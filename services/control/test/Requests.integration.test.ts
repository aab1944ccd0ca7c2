import { assert, describe, it } from "@effect/vitest"
import { Clock, ConfigProvider, Effect, Exit, Layer } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { connect, type Socket } from "node:net"
import { controlServer } from "../src/RunControl.ts"
import { file, get, isError, on, putJson, putText, startControl, surroundings } from "./support.ts"

describe("bad requests", () => {
  it.live("get an answer in JSON that says what is wrong", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl()
        isError(yield* send(get("/nowhere?x=1")), 404, "not_found", /There is no GET \/nowhere\./)
        isError(yield* send(HttpClientRequest.post("/v1/connectors")), 404, "not_found", /POST/)
        isError(yield* send(putText("shop", "")), 422, "connector_invalid", /1 problem/)
        isError(yield* send(putJson("shop", { scripts: [] })), 400, "bad_request", /body.* at text\./)
        const broken = HttpClientRequest.put("/v1/connectors/shop")
        isError(
          yield* send(HttpClientRequest.bodyText(broken, '{"text": hunter2', "application/json")),
          400,
          "bad_request",
          /body of the request is not as it should be\./
        )
        isError(
          yield* send(HttpClientRequest.bodyText(broken, file("shop"), "application/x-www-form-urlencoded")),
          415,
          "unsupported_media_type",
          /application\/yaml/
        )
        isError(yield* send(putText("shop", file("shop"), "?dry_run=perhaps")), 400, "bad_request", /query.*dry_run/)
        isError(yield* send(putText("a%20b%2Fc", file("shop"))), 422, "connector_invalid", /1 problem/)
        isError(yield* send(putText("%E0%A4%A", file("shop"))), 404, "not_found", /./)
      })
    )
  )

  it.live("larger than 1 MiB are refused, whether they say their length or not", () =>
    on(
      Effect.gen(function* () {
        const { send, url } = yield* startControl()
        const large = "#".repeat(1024 * 1024 + 1)
        isError(yield* send(putText("shop", large)), 413, "too_large", /1048576/)
        const port = Number(new URL(url).port)
        // Without a length: chunks that do not end, until there is an answer.
        const answer = yield* Effect.callback<string>((resume) => {
          const socket = connect(port, "127.0.0.1")
          let text = ""
          socket.on("data", (data) => {
            text += String(data)
            socket.destroy()
          })
          socket.on("close", () => resume(Effect.succeed(text)))
          socket.on("error", () => undefined)
          socket.write("PUT /v1/connectors/shop HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\n")
          socket.write("transfer-encoding: chunked\r\n\r\n")
          const chunk = `10000\r\n${"#".repeat(0x10000)}\r\n`
          const more = () => {
            while (!socket.destroyed && socket.write(chunk)) {}
          }
          socket.on("drain", more)
          more()
          return Effect.sync(() => socket.destroy())
        }).pipe(Effect.timeout("90 seconds"))
        assert.match(answer, /^HTTP\/1\.1 413 /)
        assert.include(answer, '"too_large"')
        assert.strictEqual((yield* send(get("/livez"))).status, 200)
      })
    )
  )

  it.live("that never end do not hold up the end of the server, and leave no connection", () =>
    Effect.gen(function* () {
      const { end, sockets } = yield* Effect.gen(function* () {
        const { url } = yield* startControl()
        const parts = [
          "PUT /v1/connectors/shop HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\nconn",
          "GET /v1/connectors HTTP/1.1\r\nhos"
        ]
        const sockets = yield* Effect.forEach(parts, (part) =>
          Effect.callback<Socket>((resume) => {
            const socket = connect(Number(new URL(url).port), "127.0.0.1")
            socket.on("error", () => undefined)
            socket.resume()
            socket.write(part, () => resume(Effect.succeed(socket)))
          })
        )
        // Connections are made in order, so the server has those before an answer to a later one.
        yield* Effect.flatMap(HttpClient.HttpClient, (client) => client.get(`${url}/livez`))
        return { sockets, end: yield* Clock.currentTimeMillis }
      }).pipe(Effect.scoped, Effect.provide(surroundings))
      assert.isBelow((yield* Clock.currentTimeMillis) - end, 15_000)
      yield* Effect.forEach(sockets, (socket) =>
        Effect.callback<void>((resume) => {
          if (socket.closed) resume(Effect.void)
          else socket.on("close", () => resume(Effect.void))
        }).pipe(
          Effect.timeoutOrElse({
            duration: "30 seconds",
            orElse: () => Effect.die(new Error("A connection was left open."))
          })
        )
      )
    })
  )
})

describe("access", () => {
  const token = "correct horse battery staple"

  it.live("needs the token for everything but health", () =>
    on(
      Effect.gen(function* () {
        const { send } = yield* startControl({ TRIBUTARY_CONTROL_TOKEN: `${token}\n` })
        for (const request of [
          get("/v1/connectors"),
          get("/v1/connectors/shop"),
          putText("shop", file("shop")),
          putText("shop", "#".repeat(100_000)),
          HttpClientRequest.delete("/v1/connectors/shop"),
          get("/v1/status"),
          get("/v1/owners"),
          get("/openapi.json")
        ]) {
          for (const wrong of ["", "wrong", `${token}x`, token.slice(1)]) {
            const answer = yield* send(request, wrong)
            isError(answer, 401, "unauthorized", /Authorization: Bearer/)
            assert.strictEqual(answer.headers["www-authenticate"], "Bearer")
            assert.notInclude(answer.text, token)
          }
        }
        assert.strictEqual((yield* send(get("/livez"), "")).status, 200)
        assert.strictEqual((yield* send(get("/readyz"), "")).status, 200)
        assert.strictEqual((yield* send(putText("shop", file("shop")), token)).status, 200)
        assert.strictEqual((yield* send(get("/openapi.json"), token)).json.openapi, "3.1.0")
      })
    )
  )

  it.live("without a token is for requests to loopback names only", () =>
    on(
      Effect.gen(function* () {
        const { send, url } = yield* startControl()
        const port = new URL(url).port
        const as = (host: string) => get("/v1/connectors").pipe(HttpClientRequest.setHeader("host", host))
        for (const host of [`localhost:${port}`, `[::1]:${port}`, "127.0.0.1"])
          assert.strictEqual((yield* send(as(host))).status, 200, host)
        for (const host of [`rebound.example:${port}`, "127.0.0.1.example", "localhost.example"])
          isError(yield* send(as(host)), 403, "forbidden", /TRIBUTARY_CONTROL_TOKEN/)
      })
    )
  )

  it.live("from other machines is refused at the start without a token", () =>
    on(
      Effect.gen(function* () {
        const start = (host: string, environment: Record<string, string>) =>
          Layer.build(controlServer({ host, port: 0 })).pipe(
            Effect.scoped,
            Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment))),
            Effect.exit
          )
        for (const host of ["0.0.0.0", "::", "192.0.2.1", "control.example"]) {
          for (const environment of [{}, { TRIBUTARY_CONTROL_TOKEN: " \n" }]) {
            const exit = yield* start(host, environment)
            assert.include(String(exit), "NeedsToken")
            assert.include(String(exit), "TRIBUTARY_CONTROL_TOKEN")
          }
        }
        assert.isTrue(Exit.isSuccess(yield* start("0.0.0.0", { TRIBUTARY_CONTROL_TOKEN: token })))
        assert.isTrue(Exit.isSuccess(yield* start("127.0.0.1", {})))
        assert.include(String(yield* start("192.0.2.1", { TRIBUTARY_CONTROL_TOKEN: token })), "no such address")
      })
    )
  )

  it.live("is refused on a port in use, with what to do", () =>
    on(
      Effect.gen(function* () {
        const { url } = yield* startControl()
        const port = Number(new URL(url).port)
        const exit = yield* Layer.build(controlServer({ host: "127.0.0.1", port })).pipe(Effect.scoped, Effect.exit)
        assert.match(String(exit), /Cannot listen on 127\.0\.0\.1:\d+: the port is in use/)
      })
    )
  )
})
