import { Effect, Redacted } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { JournalEntry, StoredTokens } from "@tributary/vault"

/** Tokens that are easy to tell apart. */
export const tokens = (name: string): Omit<StoredTokens, "generation"> => ({
  accessToken: Redacted.make(`access-${name}`),
  tokenType: "Bearer",
  expiresAt: 1_900_000_000_000,
  obtainedAt: 1_800_000_000_000,
  refreshToken: Redacted.make(`refresh-${name}`),
  scopes: ["orders.read"],
  settings: "settings",
  seed: "seed"
})

/** An entry of the journal for the request `attempt`. */
export const entry = (attempt: string, state: JournalEntry["state"] = "sent"): JournalEntry => ({
  attempt,
  spends: "fingerprint",
  firstAt: 1_800_000_000_000,
  at: 1_800_000_000_500,
  epoch: 7,
  tries: 1,
  state
})

export const temporaryDirectory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "tributary-vault-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)
