import { isIPv4, isIPv6 } from "node:net"

/**
 * What an address is for, as far as it matters to whoever sends credentials there. `metadata`: services of clouds that give
 * credentials to whoever asks from inside. `reserved`: addresses that no server on the Internet has (RFC 6890).
 */
export type AddressKind = "public" | "loopback" | "private" | "link-local" | "metadata" | "reserved"

/** A range: its first address and how many of its bits count. */
export interface AddressRange {
  readonly bits: bigint
  readonly prefix: number
}

const ipv4Bits = (text: string): bigint => text.split(".").reduce((bits, part) => (bits << 8n) | BigInt(part), 0n)

const ipv6Bits = (text: string): bigint => {
  const dotted = /^(?<head>.*:)(?<tail>\d+\.\d+\.\d+\.\d+)$/u.exec(text)?.groups
  const tail = dotted === undefined ? 0n : ipv4Bits(dotted["tail"] ?? "")
  const written =
    dotted === undefined ? text : `${dotted["head"]}${(tail >> 16n).toString(16)}:${(tail & 0xffffn).toString(16)}`
  const [head = "", rest] = written.split("::")
  const words = (part: string) => part.split(":").filter((word) => word !== "")
  const before = words(head)
  const after = words(rest ?? "")
  const missing = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => "0")
  const all = [...before, ...missing, ...after]
  return all.reduce((bits, word) => (bits << 16n) | BigInt(`0x${word}`), 0n)
}

/** IPv4 addresses as the part of IPv6 that stands for them (RFC 4291, section 2.5.5.2): then there is one kind of address. */
const mapped = 0xffffn << 32n

/** An address as its 128 bits; `undefined` if it is none. */
const bitsOf = (address: string): bigint | undefined => {
  const [text = ""] = address.split("%")
  if (isIPv4(text)) return mapped | ipv4Bits(text)
  if (!isIPv6(text)) return undefined
  const bits = ipv6Bits(text)
  // IPv4-compatible (::a.b.c.d), NAT64 (RFC 6052) and 6to4 (RFC 3056) lead to the IPv4 address that they hold.
  if (bits > 0xffffn && bits < 1n << 32n) return mapped | bits
  if (bits >> 32n === 0x0064_ff9bn << 64n) return mapped | (bits & 0xffff_ffffn)
  if (bits >> 112n === 0x2002n) return mapped | ((bits >> 80n) & 0xffff_ffffn)
  return bits
}

/** Reads `10.0.0.0/8`, `fd00::/8` or a single address; `undefined` if it is neither. */
export const parseRange = (text: string): AddressRange | undefined => {
  const [address = "", length, ...more] = text.split("/")
  const bits = address.includes("%") ? undefined : bitsOf(address)
  if (bits === undefined || more.length > 0) return undefined
  if (length === undefined) return { bits, prefix: 128 }
  const whole = isIPv4(address) ? 32 : 128
  if (!/^\d{1,3}$/u.test(length) || Number(length) > whole) return undefined
  return { bits, prefix: Number(length) + (128 - whole) }
}

const isIn = (bits: bigint, { bits: first, prefix }: AddressRange): boolean => {
  const shift = BigInt(128 - prefix)
  return bits >> shift === first >> shift
}

/** Whether an address is in one of the ranges. */
export const isInRanges = (address: string, ranges: ReadonlyArray<AddressRange>): boolean => {
  const bits = bitsOf(address)
  return bits !== undefined && ranges.some((range) => isIn(bits, range))
}

/** The first that matches counts. Metadata services: AWS, Azure, Google, Oracle, Alibaba, Tencent and others of the link's. */
const kinds: ReadonlyArray<readonly [AddressKind, ReadonlyArray<string>]> = [
  [
    "metadata",
    [
      "169.254.169.254",
      "169.254.170.2",
      "169.254.170.23",
      "169.254.0.23",
      "100.100.100.200",
      "192.0.0.192",
      "168.63.129.16",
      "fd00:ec2::254",
      "fd00:ec2::23",
      "fd20:ce::254"
    ]
  ],
  ["loopback", ["127.0.0.0/8", "::1"]],
  ["link-local", ["169.254.0.0/16", "fe80::/10"]],
  ["private", ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10"]],
  [
    "reserved",
    [
      "0.0.0.0/8",
      "192.0.0.0/24",
      "192.0.2.0/24",
      "192.88.99.0/24",
      "198.18.0.0/15",
      "198.51.100.0/24",
      "203.0.113.0/24",
      "224.0.0.0/4",
      "240.0.0.0/4",
      "::",
      "64:ff9b:1::/48",
      "100::/64",
      "2001::/32",
      "2001:db8::/32",
      "3fff::/20",
      "5f00::/16",
      "ff00::/8"
    ]
  ]
]
const table = kinds.map(([kind, ranges]) => [kind, ranges.flatMap((text) => parseRange(text) ?? [])] as const)

/** What an address is for. What is no address is `reserved`: nothing is sent there. */
export const addressKind = (address: string): AddressKind => {
  const bits = bitsOf(address)
  if (bits === undefined) return "reserved"
  const special = table.find(([, ranges]) => ranges.some((range) => isIn(bits, range)))?.[0]
  if (special !== undefined) return special
  // Of IPv6 only 2000::/3 is given to anybody; elsewhere are forms such as IPv4-translated addresses (RFC 7915), which lead to others.
  return bits >> 32n === mapped >> 32n || bits >> 125n === 1n ? "public" : "reserved"
}
