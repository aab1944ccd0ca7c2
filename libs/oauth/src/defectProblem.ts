/**
 * Says where a fault of the program happened, for `TokenError.problem`. Only names and places: the message of an error
 * from somewhere below may quote a request, and a request holds secrets.
 */
export const defectProblem = (defect: unknown): string => {
  if (!(defect instanceof Error)) return `internal error (${typeof defect}).`
  const frames = (defect.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line))
  return `internal error (${defect.name}) ${frames
    .slice(0, 4)
    .map((line) => line.trim())
    .join(" ")}.`
}
