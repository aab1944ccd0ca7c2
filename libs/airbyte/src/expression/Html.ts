import { grow } from "./Meter.ts"

const entities: { readonly [char: string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "'": "&#39;",
  '"': "&#34;"
}

/** Text with the five characters that mean something in HTML replaced. */
export const escapeHtml = (text: string): string => {
  grow(text.length)
  return /[&<>'"]/.test(text) ? text.replace(/[&<>'"]/g, (char) => entities[char] ?? char) : text
}
