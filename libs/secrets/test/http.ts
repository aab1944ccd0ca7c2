import { Effect } from "effect"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"

export interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage["headers"]
  readonly body: string
}

export interface Answer {
  readonly status: number
  readonly body: unknown
}

/** What a server of the tests does in place of its answer. */
export type Fault = Answer | "hang" | "reset"

export interface TestHttp {
  readonly url: string
  readonly asked: ReadonlyArray<Asked>
  /** Requests whose path has this part are answered so, one for each fault. */
  readonly fault: (part: string, ...faults: ReadonlyArray<Fault>) => void
  /** Waits until the condition holds; looked at after each request. */
  readonly until: (condition: () => boolean) => Effect.Effect<void>
}

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  let text = ""
  for await (const part of request) text += String(part)
  return text
}

const send = (response: ServerResponse, { body, status }: Answer) => {
  response.writeHead(status, { "content-type": "application/json" })
  response.end(body === undefined ? "" : typeof body === "string" ? body : JSON.stringify(body))
}

/** A server that answers by a function, and fails as it is told; ended with the scope. */
export const testHttp = (answer: (asked: Asked) => Answer) =>
  Effect.acquireRelease(
    Effect.promise(
      () =>
        new Promise<TestHttp & { readonly end: () => void }>((resolve) => {
          const asked: Array<Asked> = []
          const faults: Array<{ readonly part: string; readonly fault: Fault }> = []
          let waiting: Array<() => void> = []
          const server = createServer((request, response) => {
            void bodyOf(request).then((body) => {
              const one: Asked = {
                method: request.method ?? "",
                path: request.url ?? "",
                headers: request.headers,
                body
              }
              asked.push(one)
              const at = faults.findIndex(({ part }) => one.path.includes(part))
              const [found] = at === -1 ? [] : faults.splice(at, 1)
              if (found?.fault === "reset") request.socket.destroy()
              else if (found?.fault !== "hang") send(response, found?.fault ?? answer(one))
              for (const look of waiting) look()
              return one
            })
          })
          server.listen(0, "127.0.0.1", () => {
            const address = server.address()
            const port = typeof address === "object" && address !== null ? address.port : 0
            resolve({
              url: `http://127.0.0.1:${port}`,
              asked,
              fault: (part, ...all) => faults.push(...all.map((fault) => ({ part, fault }))),
              until: (condition) =>
                Effect.callback<void>((resume) => {
                  const look = () => {
                    if (!condition()) return
                    waiting = waiting.filter((other) => other !== look)
                    resume(Effect.void)
                  }
                  waiting.push(look)
                  look()
                }),
              end: () => {
                server.closeAllConnections()
                server.close()
              }
            })
          })
        })
    ),
    ({ end }) => Effect.sync(end)
  )
