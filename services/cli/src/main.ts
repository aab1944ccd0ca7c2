#!/usr/bin/env node
import { enableCompileCache } from "node:module"
import { chdir, env } from "node:process"

// Most of the time of a short command is compiling; Node keeps the result in the folder for temporary files.
enableCompileCache()
// `npm run` starts scripts in the project's folder; paths are meant from where the person is.
if (env["INVOKED_FROM"] !== undefined) chdir(env["INVOKED_FROM"])
const { runCommand } = await import("./Commands.ts")
runCommand()
