/** What a server said of a failure, fit to be shown: one line of bounded length, without what looks like a secret. */
export const plainText = (text: string): string => {
  const shown = text
    .replace(/[\p{C}\s]+/gu, " ")
    // Long runs of letters and digits; names of keys, secrets and projects have separators in between.
    .replace(/[A-Za-z0-9+=]{28,}/g, (run) => (/\d/.test(run) && /[A-Za-z]/.test(run) ? "[removed]" : run))
    .replace(/\b(?:hv[sbr]|s)\.[\w-]{8,}/g, "[removed]")
    .trim()
  return shown.length > 200 ? `${shown.slice(0, 200)}…` : shown
}
