import { Effect } from "effect"
import { createHmac } from "node:crypto"
import { Agent, request } from "node:http"

/** A sender of signed deliveries, as GitHub signs them. Its connections stay open between deliveries. */
export class HookSender {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })
  readonly #secret: string

  constructor(secret: string) {
    this.#secret = secret
  }

  /** Sends once; the status of the answer, or 0: there was none within 15 seconds, and nobody knows whether it was taken. */
  send(url: string, id: string, body: string): Effect.Effect<number> {
    return Effect.callback<number>((resume) => {
      const end = (status: number) => resume(Effect.succeed(status))
      const headers = {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
        "x-github-delivery": id,
        "x-hub-signature-256": `sha256=${createHmac("sha256", this.#secret).update(body).digest("hex")}`
      }
      const asked = request(url, { method: "POST", headers, agent: this.#agent, timeout: 15_000 }, (answer) => {
        answer.resume()
        answer.on("end", () => end(answer.statusCode ?? 0))
        answer.on("error", () => end(0))
      })
      asked.on("timeout", () => asked.destroy())
      asked.on("error", () => end(0))
      asked.end(body)
    })
  }

  close(): void {
    this.#agent.destroy()
  }
}
