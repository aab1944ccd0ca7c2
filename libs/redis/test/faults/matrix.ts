import type { Authorization } from "@tributary/oauth"

/** A step at which a process is killed: before or after something becomes durable, is sent, or is heard. */
export const kills = [
  "none",
  "before intent",
  "after intent",
  "before send",
  "before reply",
  "before save",
  "after save"
] as const
export type Kill = (typeof kills)[number]
/** What becomes of the reply. `slow`: it comes after the client gave up. `reset`: the request is not even looked at. */
export const replies = ["ok", "lost", "slow", "duplicated", "reset"] as const
export type Reply = (typeof replies)[number]
/** `down at …`: the store fails for a second from then on; what it was asked for is made all the same. */
export const troubles = ["none", "lease lost", "store slow", "store down at intent", "store down at save"] as const
export type Trouble = (typeof troubles)[number]

export interface Provider {
  readonly name: string
  readonly rotate: boolean
  readonly graceMs: number
  readonly lifecycle: NonNullable<Authorization["lifecycle"]>
}
export const providers: ReadonlyArray<Provider> = [
  {
    name: "rotating, strict",
    rotate: true,
    graceMs: 0,
    lifecycle: { rotation: "always", grace: "none", reuse: "revokes_family" }
  },
  {
    name: "rotating, grace",
    rotate: true,
    graceMs: 60_000,
    lifecycle: { rotation: "always", grace: 60, reuse: "revokes_family" }
  },
  { name: "not rotating", rotate: false, graceMs: 0, lifecycle: { rotation: "never" } }
]

export interface Case {
  readonly kill: Kill
  readonly reply: Reply
  readonly trouble: Trouble
  readonly provider: Provider
}
export const cases: ReadonlyArray<Case> = providers.flatMap((provider) =>
  kills.flatMap((kill) =>
    replies.flatMap((reply) => troubles.map((trouble): Case => ({ kill, reply, trouble, provider })))
  )
)

/** How a run ended: with tokens that can be refreshed, with the demand for a new consent, or with neither. */
export type Verdict = "recovered" | "needs-consent" | "lost"
export interface Result {
  readonly case: Case
  readonly verdict: Verdict
  /** Repetitions for which the server revoked the family, but for those that no client made. */
  readonly revoked: number
  /** The refresh token that is stored in the end is good: whoever asks for consent was wrong, or cannot know. */
  readonly detail: string
}

/**
 * Whether there was a way without a person. None is left where a strict provider may have carried out a request whose answer nobody
 * can have any more; nobody can know then whether it did.
 */
export const hasWay = ({ kill, provider, reply }: Case): boolean => {
  if (!provider.rotate || provider.graceMs > 0) return true
  // A request that is carried out twice looks like a theft, whatever the client does. When a process dies before its intent, the
  // fault meets the request of the next one.
  return reply === "ok" && (kill === "none" || kill === "before intent" || kill === "after save")
}

export const isWrong = (result: Result): boolean =>
  result.verdict === "lost" || result.revoked > 0 || (hasWay(result.case) && result.verdict !== "recovered")

/** So many runs, spread over the cases, each as often as the others. */
export const plansOf = (count: number): ReadonlyArray<Case> =>
  // The step has no divisor in common with the number of cases, which is 3 * 7 * 5 * 5.
  Array.from({ length: count }, (_, index) => cases[(index * 88) % cases.length]).filter((plan) => plan !== undefined)

/** A table of results by provider. */
export const table = (title: string, results: ReadonlyArray<Result>): string => {
  const row = (name: string, some: ReadonlyArray<Result>) => {
    const count = (verdict: Verdict) => some.filter((result) => result.verdict === verdict).length
    const missed = some.filter((result) => hasWay(result.case) && result.verdict !== "recovered").length
    const revoked = some.filter((result) => result.revoked > 0).length
    return [name, some.length, count("recovered"), count("needs-consent"), count("lost"), missed, revoked]
  }
  const rows = [
    [title, "runs", "recovered", "needs-consent", "lost", "missed a way", "revoked by a retry"],
    ...providers.map((provider) =>
      row(
        provider.name,
        results.filter((result) => result.case.provider === provider)
      )
    ),
    row("all", results)
  ]
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((cells) => String(cells[column]).length)))
  return rows
    .map((cells) =>
      cells.map((cell, column) => String(cell)[column === 0 ? "padEnd" : "padStart"](widths[column] ?? 0)).join("  ")
    )
    .join("\n")
}
