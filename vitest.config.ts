import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["{libs,services,examples}/*/test/**/*.test.ts", "chaos/test/**/*.test.ts", "scripts/**/*.test.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Most tests wait for a server or a clock more than they compute.
    maxWorkers: 2
  }
})
