import { existsSync, readFileSync } from "node:fs"
import { availableParallelism, loadavg } from "node:os"

/** How many tasks want a processor: in the last minute's mean, or now, which that does not know yet. */
const tasks = (): number => {
  const now = existsSync("/proc/loadavg") ? readFileSync("/proc/loadavg", "utf8") : ""
  return Math.max(loadavg()[0] ?? 0, Number(/ (\d+)\//u.exec(now)?.[1] ?? 0))
}

/**
 * A bound for how long something may take, in milliseconds, where the machine has nothing else to do: longer by as much as there are
 * more tasks than processors. For tests that tell "at once" from "after its timeout".
 */
export const unhurried = (milliseconds: number): number =>
  milliseconds * Math.max(1, (2 * tasks()) / availableParallelism())
