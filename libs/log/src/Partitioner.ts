const seed = 0x9747b28c
const m = 0x5bd1e995

/**
 * MurmurHash2 as Kafka's Java client computes it (`Utils.murmur2`): 32 bits, signed. Keys land in the same partition in both
 * engines, so that data can move between them.
 */
export const murmur2 = (bytes: Uint8Array): number => {
  const length = bytes.length
  const whole = length & ~3
  let h = seed ^ length
  for (let i = 0; i < whole; i += 4) {
    let k = bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24)
    k = Math.imul(k, m)
    k ^= k >>> 24
    h = Math.imul(h, m) ^ Math.imul(k, m)
  }
  const rest = length - whole
  if (rest === 3) h ^= bytes[whole + 2]! << 16
  if (rest >= 2) h ^= bytes[whole + 1]! << 8
  if (rest >= 1) h = Math.imul(h ^ bytes[whole]!, m)
  h ^= h >>> 13
  h = Math.imul(h, m)
  h ^= h >>> 15
  return h | 0
}

/** The partition of a key: `toPositive(murmur2(key)) % partitions`. */
export const partitionOf = (key: Uint8Array, partitions: number): number =>
  partitions === 1 ? 0 : (murmur2(key) & 0x7fffffff) % partitions
