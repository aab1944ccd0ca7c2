import { createHash } from "node:crypto"

/** A Lua script, which Redis runs as a whole, with nothing in between. */
export interface Script {
  readonly text: string
  readonly sha: string
}

export const script = (text: string): Script => ({ text, sha: createHash("sha1").update(text).digest("hex") })
