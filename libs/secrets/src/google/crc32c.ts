/** Table of CRC-32C (Castagnoli, reflected polynomial 0x82f63b78; RFC 3720, appendix B.4). Node has CRC-32 only. */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1
  return value
})

/** Checksum that Google's APIs send with secrets and ciphertexts, as they write it: a decimal number. */
export const crc32c = (bytes: Uint8Array): string => {
  let value = 0xffffffff
  for (const byte of bytes) value = (table[(value ^ byte) & 0xff] ?? 0) ^ (value >>> 8)
  return String((value ^ 0xffffffff) >>> 0)
}
