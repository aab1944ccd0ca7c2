import { availableParallelism, loadavg } from "node:os"

/**
 * A bound for how long something may take, in milliseconds, where the machine has nothing else to do: longer by as much as there are
 * more tasks than processors. For tests that tell "at once" from "after its timeout".
 */
export const unhurried = (milliseconds: number): number =>
  milliseconds * Math.max(1, (2 * (loadavg()[0] ?? 0)) / availableParallelism())
