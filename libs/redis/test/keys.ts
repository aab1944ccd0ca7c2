import { randomBytes } from "node:crypto"

export const newKey = () => randomBytes(32).toString("base64")
