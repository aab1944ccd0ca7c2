import { env } from "node:process"
import { defineConfig } from "vitest/config"
import { RetriedReporter } from "./scripts/RetriedReporter.ts"

export default defineConfig({
  test: {
    include: ["{libs,services,examples}/*/test/**/*.test.ts", "{chaos,fuzz}/test/**/*.test.ts", "scripts/**/*.test.ts"],
    // Whole runs show what failing tests printed, so that a failure is found in the log.
    silent: env["CI"] === undefined ? false : "passed-only",
    reporters: ["default", new RetriedReporter()],
    // Long enough for machines of which each task has a small part: most tests start processes and servers.
    testTimeout: 240_000,
    hookTimeout: 300_000,
    // A landing is not to hang on one moment of a loaded machine. .ci/run lists what passed only at its second attempt.
    retry: env["CI"] === undefined ? 0 : 1,
    // Most tests wait for a server or a clock more than they compute.
    maxWorkers: 2
  }
})
