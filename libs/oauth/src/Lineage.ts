import type { StoredTokens } from "@tributary/vault"
import { Redacted } from "effect"
import { fingerprint } from "./fingerprint.ts"
import type { GrantRequest } from "./Grant.ts"

/** The newest tokens that were seen, without the tokens. */
interface Newest {
  readonly generation: number
  readonly obtainedAt: number
  readonly refreshToken: string | undefined
  readonly seed: string | undefined
}

/**
 * What this process remembers of the tokens of one authorization, for the case that the store forgets: a server that restarted
 * without its data, or was put back to a backup. A store is behind if it holds nothing, or older tokens than were seen.
 */
export class Lineage {
  #newest: Newest | undefined
  /** Added to the generations of the store, so that those handed out grow even when the store begins anew. */
  #offset = 0

  /** Takes note of what is stored. */
  observe(stored: StoredTokens): void {
    if (!this.isBehind(stored)) this.replace(stored)
  }

  /** Takes note of tokens that were just obtained and stored. */
  replace(stored: StoredTokens): void {
    const { generation, obtainedAt, refreshToken, seed } = stored
    const newest = this.#newest
    const isSame = newest?.generation === generation && newest.obtainedAt === obtainedAt
    if (newest !== undefined && !isSame && generation <= newest.generation) this.#offset += newest.generation
    this.#newest = {
      generation,
      obtainedAt,
      refreshToken: refreshToken === undefined ? undefined : fingerprint(Redacted.value(refreshToken)),
      seed
    }
  }

  isBehind(stored: StoredTokens | undefined): boolean {
    if (this.#newest === undefined) return false
    if (stored === undefined) return true
    return stored.generation < this.#newest.generation && stored.obtainedAt <= this.#newest.obtainedAt
  }

  /**
   * Whether the credential that a request would spend is known to have been replaced: then the one that counts is lost with
   * the store's data, and the server would take the use of this one for a theft.
   */
  isUsedUp(stored: StoredTokens | undefined, { seed, spends }: GrantRequest): boolean {
    return (
      spends !== undefined &&
      this.isBehind(stored) &&
      seed === this.#newest?.seed &&
      spends !== this.#newest?.refreshToken
    )
  }

  /** The generation under which stored tokens are handed out. */
  generationOf(stored: StoredTokens): number {
    return this.#offset + stored.generation
  }

  /** The next generation for tokens that cannot be stored: greater than all before, less than all that will be stored. */
  nextUnstored(): number {
    this.#offset++
    return this.#offset + (this.#newest?.generation ?? 0)
  }
}
