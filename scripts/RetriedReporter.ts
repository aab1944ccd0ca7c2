import type { Reporter, TestCase } from "vitest/node"

/**
 * Names each test that passed, but not at its first attempt, with what the attempt before said: such a test, or what it tests,
 * is to be looked into. `.ci/run` repeats these lines at its end.
 */
export class RetriedReporter implements Reporter {
  onTestCaseResult(test: TestCase): void {
    const diagnostic = test.diagnostic()
    if (diagnostic === undefined || !diagnostic.flaky) return
    const [first] = test.result().errors ?? []
    const because = first?.message.split("\n", 1)[0] ?? "it gave no reason"
    process.stdout.write(
      `(retry x${diagnostic.retryCount}) ${test.module.relativeModuleId} > ${test.fullName}: ${because}\n`
    )
  }
}
