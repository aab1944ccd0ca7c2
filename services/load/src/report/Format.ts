import { DateTime, Option } from "effect"

/** Stands where there is no number to show. */
export const absent = "–"

/** Between a number and its unit: no line ends here. */
const gap = "\u00a0"

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 })

/** Beyond this a number cannot be counted out any more and is shown as a power of ten. */
const longest = 1e15

const scientific = (value: number): string => value.toExponential(1).replace("e+", " × 10^")

/** Up to `digits` decimals, none that are zero. */
const decimals = (value: number, digits: number): string => {
  const text = value.toFixed(digits)
  const short = text.includes(".") ? text.replace(/\.?0+$/, "") : text
  return short === "-0" ? "0" : short
}

/** A whole number with thousands separated: `1,000,000`. */
export const count = (value: number): string => {
  if (!Number.isFinite(value)) return absent
  return Math.abs(value) >= longest ? scientific(value) : whole.format(value).replace(/^-0$/, "0")
}

/** `1 record`, `2 records`. */
export const plural = (value: number, noun: string): string => `${count(value)} ${value === 1 ? noun : `${noun}s`}`

/** Three digits or all whole ones: `0.42`, `12.3`, `48,210`. */
export const decimal = (value: number): string => {
  if (!Number.isFinite(value)) return absent
  const size = Math.abs(value)
  if (size >= 100) return count(value)
  if (size >= 10) return decimals(value, 1)
  return size >= 0.01 || size === 0 ? decimals(value, 2) : decimals(value, 4)
}

/** For axes: `250k`, `1.25M`. */
export const si = (value: number): string => {
  if (!Number.isFinite(value)) return absent
  const size = Math.abs(value)
  if (size >= longest) return scientific(value)
  if (size >= 1e12) return `${decimals(value / 1e12, 3)}T`
  if (size >= 1e9) return `${decimals(value / 1e9, 3)}G`
  if (size >= 1e6) return `${decimals(value / 1e6, 3)}M`
  if (size >= 1e3) return `${decimals(value / 1e3, 3)}k`
  return size >= 0.001 || size === 0 ? decimals(value, 3) : value.toExponential(0)
}

const byteUnits = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]

/** `412 MiB`, `1.14 GiB`. */
export const bytes = (value: number): string => {
  if (!Number.isFinite(value)) return absent
  const size = Math.abs(value)
  const power = Math.min(byteUnits.length - 1, size < 1024 ? 0 : Math.floor(Math.log2(size) / 10))
  return `${decimal(value / 1024 ** power)}${gap}${byteUnits[power] ?? ""}`
}

/** Milliseconds in one unit, for axes: `500 ms`, `15 s`, `1.5 min`. */
export const shortDuration = (ms: number): string => {
  if (!Number.isFinite(ms)) return absent
  const size = Math.abs(ms)
  if (ms === 0) return "0"
  if (size < 1) return `${decimals(ms, 3)}${gap}ms`
  if (size < 1000) return `${decimals(ms, 1)}${gap}ms`
  if (size < 60_000) return `${decimals(ms / 1000, 2)}${gap}s`
  if (size < 3_600_000) return `${decimals(ms / 60_000, 2)}${gap}min`
  return size < 86_400_000 ? `${decimals(ms / 3_600_000, 2)}${gap}h` : `${si(ms / 86_400_000)}${gap}d`
}

/** Milliseconds in words: `340 ms`, `12.3 s`, `3 min 12 s`, `2 h 5 min`. */
export const duration = (ms: number): string => {
  if (!Number.isFinite(ms)) return absent
  const size = Math.abs(ms)
  if (size < 1000) return size >= 99.5 ? `${count(ms)}${gap}ms` : `${decimal(ms)}${gap}ms`
  const seconds = Math.round(size / 1000)
  if (seconds < 60) return `${decimal(ms / 1000)}${gap}s`
  const sign = ms < 0 ? "-" : ""
  if (seconds < 3600) return sign + pair(Math.floor(seconds / 60), "min", seconds % 60, "s")
  const minutes = Math.round(size / 60_000)
  return minutes < 1440
    ? sign + pair(Math.floor(minutes / 60), "h", minutes % 60, "min")
    : sign + pair(Math.floor(minutes / 1440), "d", Math.floor((minutes % 1440) / 60), "h")
}

const pair = (large: number, largeUnit: string, small: number, smallUnit: string): string =>
  small === 0
    ? `${count(large)}${gap}${largeUnit}`
    : `${count(large)}${gap}${largeUnit}${gap}${count(small)}${gap}${smallUnit}`

const two = (value: number): string => String(value).padStart(2, "0")

/** Time since the start as on a stopwatch: `2:05`, `1:02:05`. */
export const stopwatch = (ms: number): string => {
  if (!Number.isFinite(ms)) return absent
  const seconds = Math.round(Math.max(0, ms) / 1000)
  const minutes = Math.floor(seconds / 60)
  return minutes < 60
    ? `${count(minutes)}:${two(seconds % 60)}`
    : `${count(Math.floor(minutes / 60))}:${two(minutes % 60)}:${two(seconds % 60)}`
}

/** A moment, milliseconds since 1970: `2026-11-21 14:27:19 UTC`. */
export const moment = (ms: number): string =>
  Option.match(DateTime.make(ms), {
    onNone: () => absent,
    onSome: (at) => `${DateTime.formatIso(at).slice(0, 19).replace("T", " ")} UTC`
  })

/** A share of one: `12.5 %`. */
export const percent = (share: number): string => (Number.isFinite(share) ? `${decimal(share * 100)}${gap}%` : absent)

/** A coordinate of a drawing, or a percentage of one: one decimal, and always a number. */
export const coordinate = (value: number): string => decimals(Number.isFinite(value) ? value : 0, 1)
