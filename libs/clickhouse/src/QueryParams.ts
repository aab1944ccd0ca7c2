/** Values for `{name:Type}` placeholders of a query. */
export type QueryParams = Readonly<Record<string, string | number | boolean | null | ReadonlyArray<string | number>>>
