import { env } from "node:process"
import { defineConfig } from "vitest/config"
import { RetriedReporter } from "./scripts/RetriedReporter.ts"

export default defineConfig({
  test: {
    include: ["{libs,services,examples}/*/test/**/*.test.ts", "chaos/test/**/*.test.ts", "scripts/**/*.test.ts"],
    reporters: ["default", new RetriedReporter()],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A landing is not to hang on one moment of a loaded machine. .ci/run lists what passed only at its second attempt.
    retry: env["CI"] === undefined ? 0 : 1,
    // Most tests wait for a server or a clock more than they compute.
    maxWorkers: 2
  }
})
