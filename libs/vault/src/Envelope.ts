import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from "node:crypto"

const algorithm = "aes-256-gcm"
const nonceBytes = 12
const tagBytes = 16

/**
 * Begins a record of the present form. Records of the first form begin with a random nonce, which is this by a chance of 1 in 2^64.
 */
const mark = Buffer.from("TRBVLT\0\x02", "latin1")

/** A sealed record, taken apart. */
export interface Envelope {
  /** The data key, encrypted under the key that the record names. */
  readonly wrapped: Uint8Array
  /** Up to the end of the wrapped key; it is authenticated with the contents. */
  readonly head: Uint8Array
  /** Nonce, ciphertext and tag. */
  readonly body: Uint8Array
}

/** Encrypts under a random nonce (NIST SP 800-38D): nonce, ciphertext, tag. `bound` has to be the same for decrypting. */
export const encrypt = (key: KeyObject, bound: Uint8Array, plain: Uint8Array): Buffer => {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv(algorithm, key, nonce).setAAD(bound)
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

/** What `encrypt` made; throws if any of it was changed. */
export const decrypt = (key: KeyObject, bound: Uint8Array, sealed: Uint8Array): Buffer => {
  const decipher = createDecipheriv(algorithm, key, sealed.subarray(0, nonceBytes), { authTagLength: tagBytes })
    .setAAD(bound)
    .setAuthTag(sealed.subarray(-tagBytes))
  return Buffer.concat([decipher.update(sealed.subarray(nonceBytes, -tagBytes)), decipher.final()])
}

/** Ties a record to its place: bytes that are copied to another record or generation, or name another key, do not open. */
const place = (head: Uint8Array, authorization: string, generation: number, keyId: string) =>
  Buffer.concat([head, Buffer.from(JSON.stringify([authorization, generation, keyId]))])

/** Whether sealed bytes have the present form. */
export const isEnvelope = (sealed: Uint8Array): boolean => mark.equals(sealed.subarray(0, mark.length))

/** Puts a record together: mark, length of the wrapped key (2 bytes), wrapped key, encrypted contents. */
export const sealEnvelope = (
  dataKey: KeyObject,
  wrapped: Uint8Array,
  at: { readonly authorization: string; readonly generation: number; readonly keyId: string },
  contents: string
): Buffer => {
  const length = Buffer.alloc(2)
  length.writeUInt16BE(wrapped.length)
  const head = Buffer.concat([mark, length, wrapped])
  return Buffer.concat([
    head,
    encrypt(dataKey, place(head, at.authorization, at.generation, at.keyId), Buffer.from(contents))
  ])
}

/** Takes a record apart; `undefined` if it is cut short. */
export const readEnvelope = (sealed: Uint8Array): Envelope | undefined => {
  const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength)
  if (bytes.length < mark.length + 2) return undefined
  const end = mark.length + 2 + bytes.readUInt16BE(mark.length)
  if (bytes.length < end + nonceBytes + tagBytes) return undefined
  return { wrapped: bytes.subarray(mark.length + 2, end), head: bytes.subarray(0, end), body: bytes.subarray(end) }
}

/** The contents of a record; throws if it was changed or is at another place. */
export const openEnvelope = (
  dataKey: KeyObject,
  { body, head }: Envelope,
  at: { readonly authorization: string; readonly generation: number; readonly keyId: string }
): string => decrypt(dataKey, place(head, at.authorization, at.generation, at.keyId), body).toString()

/** The contents of a record of the first form: encrypted under the key itself, tied to its name and generation. */
export const openFirstForm = (
  key: KeyObject,
  sealed: Uint8Array,
  at: { readonly authorization: string; readonly generation: number }
): string => decrypt(key, Buffer.from(JSON.stringify([at.authorization, at.generation])), sealed).toString()
