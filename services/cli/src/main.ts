#!/usr/bin/env -S node --max-semi-space-size=16
// The young generation stays small: pages live outside the heap, and without a limit V8 lets it grow to 128 MB of garbage.
import { NodeRuntime } from "@effect/platform-node"
import { program, teardown } from "./Commands.ts"

NodeRuntime.runMain(program, { teardown, disableErrorReporting: true })
