import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { toRedisError } from "../src/RedisError.ts"

describe("toRedisError", () => {
  const cases: ReadonlyArray<readonly [string, RegExp]> = [
    ["LOADING Redis is loading the dataset in memory", /^transient .*still loading/],
    ["MISCONF Redis is configured to save RDB snapshots, but it is unable to persist to disk", /^transient .*its disk/],
    ["BUSY Redis is busy running a script. You can only call SCRIPT KILL", /^transient .*busy/],
    ["MASTERDOWN Link with MASTER is down", /^transient .*lost its primary/],
    ["MOVED 3999 127.0.0.1:6381", /^misconfigured .*Redis Cluster/],
    ["CROSSSLOT Keys in request don't hash to the same slot", /^misconfigured .*Redis Cluster/],
    ["ERR Error running script (call to f_0): @user_script:3: -OOM command not allowed", /^transient .*memory is full/],
    ["ERR something new", /^transient .*it answered "ERR something new"/],
    ["ERR unknown command 'WAITAOF', with args beginning with: 'hunter2'", /unknown command 'WAITAOF'"/]
  ]
  for (const [answer, expected] of cases) {
    it.effect(answer.slice(0, 40), () =>
      Effect.sync(() => {
        const error = toRedisError("host:6379", new Error(answer))
        assert.match(`${error.failureClass} ${error.message}`, expected)
        assert.notInclude(error.message, "hunter2")
      })
    )
  }
})
