import { once } from "node:events"
import { connect, type LookupFunction, type Socket } from "node:net"
import { SocksClient, SocksClientError } from "socks"

/** The proxy was reached and makes no tunnel. `code` never quotes what was sent. */
export class SocksRefused extends Error {
  readonly code: string
  constructor(code: string) {
    super(code)
    this.code = code
  }
}

/** Whether a proxy's name and password can be sent to it: RFC 1929 has a byte for the length of each. */
export const fitsSocks = (credentials: ReadonlyArray<string>): boolean =>
  credentials.every((text) => Buffer.byteLength(text) <= 255)

const codeOf = ({ message }: SocksClientError): string => {
  if (/authentication/iu.test(message)) return "credentials"
  if (message.includes("timed out")) return "timeout"
  if (message === "Socket closed") return "closed"
  const [broken] = /\bE[A-Z]{4,}\b/u.exec(message) ?? []
  if (broken !== undefined) return broken
  // In the words of RFC 1928, section 6: ConnectionRefused, HostUnreachable and so on. `Granted` is what an answer of another version says.
  const [, answer = "Granted"] = /rejected connection - (\w+)$/u.exec(message) ?? []
  return answer === "Granted" || answer === "undefined" ? "no SOCKS5" : answer
}

/**
 * A tunnel through a SOCKS proxy (RFC 1928, with the name and password in its address as RFC 1929 has it). The name of the target is
 * resolved by the proxy, that of the proxy with `lookup`. Rejects with `SocksRefused`, or the error of the connection to the proxy, at the
 * latest after `timeout` milliseconds.
 */
export const socksTunnel = async (
  proxy: URL,
  target: { readonly host: string; readonly port: number },
  options: { readonly timeout: number; readonly lookup?: LookupFunction }
): Promise<Socket> => {
  const port = Number(proxy.port || "1080")
  const host = proxy.hostname.replace(/^\[(.*)\]$/u, "$1")
  const { lookup, timeout } = options
  const began = performance.now()
  const socket = connect({ host, port, ...(lookup === undefined ? {} : { lookup }) })
  try {
    // A listener that stays: an error that comes between two steps is told by the next one.
    socket.on("error", () => {})
    await once(socket, "connect", { signal: AbortSignal.timeout(timeout) })
    const { password, username } = proxy
    const credentials =
      username === "" && password === ""
        ? {}
        : { userId: decodeURIComponent(username), password: decodeURIComponent(password) }
    await SocksClient.createConnection({
      command: "connect",
      proxy: { host, port, type: 5, ...credentials },
      destination: target,
      timeout: Math.max(1, timeout - (performance.now() - began)),
      existing_socket: socket
    })
    return socket
  } catch (error) {
    socket.destroy()
    if (error instanceof SocksClientError) throw new SocksRefused(codeOf(error))
    throw error instanceof Error && error.name === "AbortError" ? new SocksRefused("timeout") : error
  }
}
