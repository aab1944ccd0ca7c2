import { mkdirSync, statSync } from "node:fs"
import { dirname, resolve } from "node:path"

/**
 * Makes a folder, and those above it that are missing; one that is there stays as it is. Throws what the operating system says.
 *
 * Node's own `recursive` never returns where a folder is there and yet nothing can be made in it, as in /proc: it takes the
 * ENOENT for a missing parent again and again.
 */
export const makeDirectory = (directory: string, mode = 0o777): void => {
  const path = resolve(directory)
  const missing: Array<string> = []
  let at = path
  while (at !== dirname(at) && statSync(at, { throwIfNoEntry: false }) === undefined) {
    missing.unshift(at)
    at = dirname(at)
  }
  // What is there may be a file; then making it says so.
  if (missing.length === 0 && !statSync(path).isDirectory()) mkdirSync(path)
  for (const folder of missing) {
    try {
      mkdirSync(folder, { mode })
    } catch (error) {
      // Another process may have been quicker.
      if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== true) throw error
    }
  }
}
