import { join } from "node:path"

/** The data folder when none is named. */
export const defaultData = "./.tributary"

/** Where the parts of the embedded engine keep their files. */
export const directories = (data: string) => ({
  log: join(data, "log"),
  vault: join(data, "vault"),
  audit: join(data, "audit"),
  registry: join(data, "registry"),
  clickhouse: join(data, "clickhouse")
})
