#!/usr/bin/env node
import { NodeRuntime } from "@effect/platform-node"
import { program, teardown } from "./Commands.ts"

NodeRuntime.runMain(program, { teardown, disableErrorReporting: true })
