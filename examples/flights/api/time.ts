/** Times of the data: RFC 3339 in UTC, to the second. They are read and written here only, and never ask for the time of day. */

const pattern = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.\d+)?(?:Z|([+-])(\d{2}):(\d{2}))$/u

/** Seconds since 1970; `undefined` when the text is no time. */
export const seconds = (text: string): number | undefined => {
  if (!pattern.test(text)) return undefined
  // oxlint-disable-next-line eslint/no-restricted-globals -- a calculation, not a clock
  const milliseconds = Date.parse(text)
  return Number.isNaN(milliseconds) ? undefined : Math.floor(milliseconds / 1000)
}

/** `2013-01-01T10:00:00Z`. */
export const utc = (secondsSince1970: number): string => {
  // oxlint-disable-next-line eslint/no-restricted-globals -- a calculation, not a clock
  return `${new Date(secondsSince1970 * 1000).toISOString().slice(0, 19)}Z`
}

/** Seconds of the wall clock since 1970, with their fraction. */
export const now = (): number => (performance.timeOrigin + performance.now()) / 1000
