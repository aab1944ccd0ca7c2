import { Context } from "effect"

/**
 * The process environment, as names and values. Settings of the platform itself come through `Config`; this is for the
 * variables that connector files name, whose spelling must not be changed on the way.
 */
export const Environment = Context.Reference<Readonly<Record<string, string | undefined>>>(
  "@tributary/secrets/Environment",
  // oxlint-disable-next-line eslint/no-restricted-globals -- the one place where the environment enters
  { defaultValue: () => process.env }
)
