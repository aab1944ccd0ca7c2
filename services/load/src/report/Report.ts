import { createHash } from "node:crypto"
import type { LoadResult } from "../LoadResult.ts"
import { detailSection } from "./DetailSection.ts"
import { flowSection } from "./FlowSection.ts"
import { plural } from "./Format.ts"
import { freshnessSection } from "./FreshnessSection.ts"
import { headline, verdict } from "./Headline.ts"
import { Html, markup, nothing } from "./Html.ts"
import { kneeSection } from "./KneeSection.ts"
import { processSection } from "./ProcessSection.ts"
import { script } from "./script.ts"
import { style } from "./style.ts"
import { timeAxis } from "./TimeAxis.ts"
import { verificationSection } from "./VerificationSection.ts"

/** Nothing is loaded from anywhere, and no script runs but the one whose digest this is. */
const policy = `default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-${createHash("sha256").update(script).digest("base64")}'; base-uri 'none'; form-action 'none'`

/**
 * The report of a load test as one HTML file that needs nothing else: outcome, figures, charts and tables, for screens
 * large and small, light and dark, and for paper. Every text from the result is escaped; numbers that are not finite are
 * shown as a dash. A result that claims success but has differences, or no comparison, is not shown as a success.
 */
export const renderReport = (result: LoadResult): string => {
  const { tone, word } = verdict(result)
  const axis = timeAxis(result)
  const verification = verificationSection(result)
  const isWrong = tone !== "ok"
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${word}: ${plural(result.records, "record")} · Tributary load test</title>
<link rel="icon" href="data:,">
<style>${new Html(style)}</style>
</head>
<body>
<main>
${headline(result)}
${isWrong ? verification : nothing}
${flowSection(result, axis)}
${freshnessSection(result)}
${kneeSection(result)}
${processSection(result, axis)}
${isWrong ? nothing : verification}
${detailSection(result)}
<footer>Freshness and lag count from the moment the API offered a record to the moment it could be queried. Throughput counts from the first record that was offered to the last that could be queried. Times of day are UTC. The JSON report of the test has every figure.</footer>
</main>
<script>${new Html(script)}</script>
</body>
</html>
`.text
}
