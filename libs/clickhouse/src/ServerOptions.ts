/** How the embedded server is run. */
export interface ServerOptions {
  /** Directory of the data; made when it is not there. */
  readonly directory: string
  /** Without it a free port is chosen. */
  readonly port?: number
  /** Most memory that the server may take; a query or insert that needs more fails. Default 1 GiB. */
  readonly memoryBytes?: number
}
