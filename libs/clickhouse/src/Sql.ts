/** Text that becomes part of a statement. Values of queries go as parameters instead; these are for names and for DDL. */

/** A name in backquotes. */
export const identifier = (name: string): string => `\`${name.replace(/[\\`]/gu, "\\$&")}\``

/** A string in quotes. */
export const literal = (text: string): string =>
  `'${text.replace(/[\\']/gu, "\\$&").replace(/\n/gu, "\\n").replace(/\0/gu, "\\0")}'`
