import { Effect } from "effect"
import { connect } from "node:net"

/** ApiVersions, version 0, with correlation id 1 and no client id: every Kafka answers it before anybody has logged in. */
const question = Buffer.from([0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff])

const verdictOf = (answer: Buffer, tls: boolean): string | undefined => {
  const text = answer.toString("latin1")
  if (text.startsWith("HTTP/")) return "a web server answers there, not Kafka"
  // An alert of TLS (RFC 8446, section 5.1).
  if (answer[0] === 0x15 && answer[1] === 3)
    return tls ? undefined : "TLS is spoken there, and this client was told to do without: turn it on"
  if (answer.length >= 8 && answer.readInt32BE(4) === 1)
    return tls
      ? "Kafka answers there without TLS, and this client was told to use it: turn it off, or name the port for TLS"
      : undefined
  const beginning = text.slice(0, 20).replace(/[^\x20-\x7e]/g, ".")
  return `what answers there is not Kafka; its answer begins with "${beginning}"`
}

/**
 * Says what is at an address instead of the Kafka that is looked for, with TLS or without; `undefined` when that cannot be
 * told. Takes two seconds at most.
 */
export const diagnose = (host: string, port: number, tls: boolean): Effect.Effect<string | undefined> =>
  Effect.callback<string | undefined>((resume) => {
    const socket = connect({ host, port })
    const end = (verdict: string | undefined) => {
      socket.destroy()
      resume(Effect.succeed(verdict))
    }
    socket.on("connect", () => socket.write(question))
    socket.on("data", (answer) => end(verdictOf(answer, tls)))
    socket.on("error", () => end(undefined))
    socket.on("close", () => end(undefined))
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.timeoutOrElse({ duration: "2 seconds", orElse: () => Effect.undefined }))
