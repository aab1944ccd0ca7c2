import { gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib"

/** How batches are compressed before they are sent. The broker stores them as they come. */
export type Compression = "none" | "gzip" | "zstd"

const codes: Record<Compression, number> = { none: 0, gzip: 1, zstd: 4 }
/** By their number in a batch's attributes. */
const names = ["none", "gzip", "snappy", "lz4", "zstd"]

export const compressionCode = (compression: Compression): number => codes[compression]

export const compress = (compression: Compression, bytes: Uint8Array): Uint8Array => {
  switch (compression) {
    case "none":
      return bytes
    case "gzip":
      return gzipSync(bytes)
    case "zstd":
      return zstdCompressSync(bytes)
  }
}

/** A batch of another program that this one cannot read. */
export class UnknownCompression extends Error {
  override readonly name = "UnknownCompression"
}

/** Throws `UnknownCompression`, and what zlib throws for damaged bytes. */
export const decompress = (code: number, bytes: Buffer): Buffer => {
  if (code === 0) return bytes
  if (code === 1) return gunzipSync(bytes)
  if (code === 4) return zstdDecompressSync(bytes)
  throw new UnknownCompression(
    `Its records are compressed with ${names[code] ?? `codec ${code}`}, which cannot be read here. Let their producer use zstd or gzip.`
  )
}
