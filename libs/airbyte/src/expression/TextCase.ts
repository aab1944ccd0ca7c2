const cased = /[\p{Lowercase}\p{Uppercase}\p{Lt}]/u
export const every = (text: string, pattern: RegExp): boolean => text !== "" && pattern.test(text)

const titleCase = (char: string): string => {
  const upper = char.toUpperCase()
  const [first = "", ...rest] = upper
  return first + rest.join("").toLowerCase()
}

export const capitalize = (text: string): string => {
  const [first = ""] = text
  return titleCase(first) + text.slice(first.length).toLowerCase()
}

export const title = (text: string): string => {
  let result = ""
  let inWord = false
  for (const char of text) {
    result += inWord ? char.toLowerCase() : titleCase(char)
    inWord = cased.test(char)
  }
  return result
}

export const swapCase = (text: string): string => {
  let result = ""
  for (const char of text) {
    const upper = char.toUpperCase()
    result += upper === char ? char.toLowerCase() : upper
  }
  return result
}

/** str.islower and str.isupper. */
export const isLower = (text: string): boolean => !/[\p{Uppercase}\p{Lt}]/u.test(text) && /\p{Lowercase}/u.test(text)
export const isUpper = (text: string): boolean => !/[\p{Lowercase}\p{Lt}]/u.test(text) && /\p{Uppercase}/u.test(text)

export const isTitle = (text: string): boolean => {
  let found = false
  let inWord = false
  for (const char of text) {
    const upper = /[\p{Uppercase}\p{Lt}]/u.test(char)
    const lower = /\p{Lowercase}/u.test(char)
    if ((upper && inWord) || (lower && !inWord)) return false
    inWord = upper || lower
    found ||= inWord
  }
  return found
}
