/**
 * The text of a JSON number, apart from its spelling: `-digits x 10^-scale` without zeros at either end. `digits` is empty for
 * zero.
 */
export interface DecimalText {
  readonly negative: boolean
  readonly digits: string
  readonly scale: number
}

/** Reads the text of a JSON number (`-12.50`, `1e3`). The text must be one. */
export const decimalText = (text: string): DecimalText => {
  const [mantissa = "", exponent = "0"] = text.split(/[eE]/u)
  const negative = mantissa.startsWith("-")
  const [whole = "", fraction = ""] = (negative ? mantissa.slice(1) : mantissa).split(".")
  const all = (whole + fraction).replace(/^0+/u, "")
  const digits = all.replace(/0+$/u, "")
  if (digits === "") return { negative, digits, scale: 0 }
  return { negative, digits, scale: fraction.length - Number(exponent) - (all.length - digits.length) }
}

/** Most digits that `toPrecision` can print. */
const mostDigits = 100

/**
 * Whether the double nearest to the number, written with as many digits as were sent, is the number sent. Then nothing was
 * lost. True for every number of up to 15 digits, and for every double that was printed with all its digits.
 */
export const isExactDouble = (text: string): boolean => {
  const value = Number(text)
  if (!Number.isFinite(value)) return false
  const sent = decimalText(text)
  if (value === 0) return sent.digits === ""
  if (sent.digits.length > mostDigits) return false
  const isSent = (printed: string): boolean => {
    const { digits, scale } = decimalText(printed)
    return digits === sent.digits && scale === sent.scale
  }
  // Where the double is just between two numbers of so many digits, the shortest form may be the lower one.
  return isSent(value.toPrecision(sent.digits.length)) || isSent(String(value))
}
