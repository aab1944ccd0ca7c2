import { Config, Schema } from "effect"
import { type LookupAddress, type LookupAllOptions, lookup } from "node:dns"
import { isIP, type LookupFunction } from "node:net"
import { buildConnector } from "undici"
import { addressKind, type AddressKind, type AddressRange, isInRanges, parseRange } from "./addressKind.ts"

/**
 * A connection that was not made, because its host has no address that requests may be sent to: a connector's file, or a DNS server,
 * could otherwise lead requests with credentials into the network that Tributary runs in. Its message may be shown.
 */
export class AddressRefused extends Error {
  readonly code = "ERR_ADDRESS_REFUSED"
  readonly kind: AddressKind
  constructor(host: string, address: string, kind: AddressKind) {
    const found = host === address ? `${host} is a ${kind} address` : `${host} has the ${kind} address ${address}`
    super(
      `${found}, where nothing is sent to. Correct the host; if it is meant, allow it: TRIBUTARY_ALLOW_PRIVATE_ADDRESSES=${address}`
    )
    this.name = "AddressRefused"
    this.kind = kind
  }
}

/** Decides which addresses connections may be made to. */
export interface AddressGuard {
  /** Why nothing may be sent to this address of the host; `undefined`: it may. */
  readonly refusal: (host: string, address: string) => AddressRefused | undefined
}

const words = (text: string) => text.split(/[\s,]+/u).filter((word) => word !== "")

const Allowed = Schema.String.check(
  Schema.makeFilter(
    (text) => text === "true" || text === "false" || words(text).every((word) => parseRange(word) !== undefined),
    { expected: "true, false, or addresses and ranges such as 10.0.0.0/8,fd00::/8" }
  )
)

const isOfThisMachine = (host: string) => host === "localhost" || host.endsWith(".localhost") || isIP(host) !== 0

/**
 * - Public addresses, and those that are allowed, are let through.
 * - Loopback only where the host is `localhost` or the address itself: another name that leads there is a trick, or has to be allowed.
 * - `all` allows private and loopback addresses; link-local, metadata and reserved ones have to be named.
 */
const makeGuard = (allowed: "all" | ReadonlyArray<AddressRange>): AddressGuard => ({
  refusal: (host, address) => {
    const kind = addressKind(address)
    if (kind === "public" || (kind === "loopback" && isOfThisMachine(host))) return undefined
    if (allowed === "all") {
      if (kind === "private" || kind === "loopback") return undefined
    } else if (isInRanges(address, allowed)) return undefined
    return new AddressRefused(host, address, kind)
  }
})

/** `TRIBUTARY_ALLOW_PRIVATE_ADDRESSES`: `true`, `false` (default, also when it is empty), or the addresses and ranges that are allowed beside public ones. */
export const addressGuard: Config.Config<AddressGuard> = Config.schema(
  Allowed,
  "TRIBUTARY_ALLOW_PRIVATE_ADDRESSES"
).pipe(
  Config.withDefault("false"),
  Config.map((text) =>
    makeGuard(text === "true" ? "all" : text === "false" ? [] : words(text).flatMap((word) => parseRange(word) ?? []))
  )
)

/** Finds the addresses of a name. */
export type Resolve = (
  host: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: Array<LookupAddress>) => void
) => void

/** Resolves names, and leaves out the addresses that are refused. Nobody asks it about addresses. */
export const guardedLookup =
  (guard: AddressGuard, resolve: Resolve = lookup): LookupFunction =>
  (host, options, callback) =>
    resolve(host, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, [])
      const judged = addresses.map((one) => ({ one, refusal: guard.refusal(host, one.address) }))
      const free = judged.filter(({ refusal }) => refusal === undefined).map(({ one }) => one)
      const [first] = free
      if (first === undefined) return callback(judged[0]?.refusal ?? new AddressRefused(host, host, "reserved"), [])
      if (options.all === true) return callback(null, free)
      callback(null, first.address, first.family)
    })

/**
 * Makes connections for an Agent of undici (its option `connect`), but only to addresses that the guard lets through. It judges
 * the address that is then connected to, for each connection anew; so a name that leads elsewhere the second time gains nothing.
 * Names are resolved as Node does it by default.
 */
export const guardedConnector = (
  guard: AddressGuard,
  options: buildConnector.BuildOptions,
  resolve: Resolve = lookup
): buildConnector.connector => {
  const connect = buildConnector({ ...options, lookup: guardedLookup(guard, resolve) })
  return (target, callback) => {
    const host = target.hostname.replace(/^\[(.*)\]$/u, "$1")
    // Names are looked up; for an address nobody asks.
    const refusal = isIP(host) === 0 ? undefined : guard.refusal(host, host)
    if (refusal === undefined) return connect(target, callback)
    callback(refusal, null)
  }
}
