/** A decimal number without loss: `digits` (no leading zeros, "" for zero) times ten to the power of `-scale`. */
export interface ExactNumber {
  readonly negative: boolean
  readonly digits: string
  readonly scale: number
}

const pattern = /^([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/u

/** Longest number that is looked at: more digits than the widest type has, and its exponent. */
const longest = 400

/** Reads a number's text (`12`, `-1.50`, `1e3`) without going through a float; `undefined` when it is none. */
export const exactNumber = (text: string): ExactNumber | undefined => {
  if (text.length > longest) return undefined
  const match = pattern.exec(text)
  if (match === null) return undefined
  const [, sign, whole = "", fraction = "", exponent = "0"] = match
  let digits = (whole + fraction).replace(/^0+/u, "")
  let scale = fraction.length - Number(exponent)
  let end = digits.length
  while (end > 0 && scale > 0 && digits.charCodeAt(end - 1) === 0x30) {
    end--
    scale--
  }
  digits = digits.slice(0, end)
  if (digits === "") return { negative: false, digits: "", scale: 0 }
  if (scale < 0) {
    if (digits.length - scale > longest) return undefined
    digits += "0".repeat(-scale)
    scale = 0
  }
  return { negative: sign === "-", digits, scale }
}

/** The value if it is a whole number. */
export const wholeNumber = ({ digits, negative, scale }: ExactNumber): bigint | undefined => {
  if (scale > 0) return undefined
  const value = BigInt(digits === "" ? "0" : digits)
  return negative ? -value : value
}

/** Plain decimal text with exactly `scale` digits after the point; `undefined` when digits would be lost or it does not fit. */
export const decimalText = (number: ExactNumber, precision: number, scale: number): string | undefined => {
  if (number.scale > scale) return undefined
  const digits = (number.digits + "0".repeat(scale - number.scale)).padStart(scale + 1, "0")
  const whole = digits.slice(0, digits.length - scale)
  if (whole !== "0" && whole.length > precision - scale) return undefined
  return `${number.negative ? "-" : ""}${whole}${scale === 0 ? "" : `.${digits.slice(digits.length - scale)}`}`
}
