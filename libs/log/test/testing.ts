/** What the tests of every log use: the conformance suite, and the helpers that its cases are written with. */
export * from "./LogConformance.ts"
export * from "./conformance/support.ts"
