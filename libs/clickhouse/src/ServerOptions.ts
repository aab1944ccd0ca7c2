import type { Redacted } from "effect"

/** How the embedded server is run. */
export interface ServerOptions {
  /** Directory of the data; made when it is not there. */
  readonly directory: string
  /** Without it a free port is chosen. */
  readonly port?: number
  /** Password of the user `tributary`; one is made for each start when it is left out. */
  readonly password?: Redacted.Redacted
  /** Most memory that the server may take; a query or insert that needs more fails. Default 1 GiB. */
  readonly memoryBytes?: number
}
