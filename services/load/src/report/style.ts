/*
 * Colours: those of Okabe and Ito, which the colour-blind tell apart, darkened on white and lightened on black until they
 * stand out (WCAG 2, 1.4.11). Lines also differ in their dashes, so that they survive a grey printer.
 */
const light = `
  --page: #f4f5f7; --card: #ffffff; --ink: #16202c; --soft: #566273; --rule: #dfe3e8; --axis: #8b96a3;
  --offered: #6b7684; --published: #c25a00; --loaded: #0067a6; --lag: #a03d77; --cpu: #0067a6; --memory: #007a5a;
  --fault: #a8420a; --fault-ink: #ffffff; --bar: #4c9bd0; --tail: #c25a00; --mark: #16202c;
  --good: #00674b; --bad: #b3200f; --warn: #805500;
  --banner-ok: #00674b; --banner-failed: #b3200f; --banner-incomplete: #805500; --banner-ink: #ffffff;
  --bad-wash: #fdecea; --good-wash: #e6f4ef;`

const dark = `
  --page: #0f1318; --card: #191f27; --ink: #e8ecf1; --soft: #a3afbd; --rule: #2c3541; --axis: #6d7a89;
  --offered: #a9b4c0; --published: #f0a030; --loaded: #5ab8f0; --lag: #e08fbd; --cpu: #5ab8f0; --memory: #3fc79a;
  --fault: #ff9a5c; --fault-ink: #1a1006; --bar: #3d8fc4; --tail: #f0a030; --mark: #e8ecf1;
  --good: #4fd1a5; --bad: #ff8a7a; --warn: #f0b840;
  --banner-ok: #06573f; --banner-failed: #9c1c0e; --banner-incomplete: #6b4800; --banner-ink: #ffffff;
  --bad-wash: #3a1d1b; --good-wash: #12302a;`

const text = `
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100% }
body { margin: 0; padding: 24px 20px 48px; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; font-variant-numeric: tabular-nums; overflow-wrap: anywhere }
main { max-width: 1040px; margin: 0 auto }
h1, h2, h3, h4, h5, p, ul, ol, dl, dd, figure { margin: 0; padding: 0 }
ul, ol { list-style: none }
h2 { font-size: 21px; line-height: 1.3; margin-bottom: 6px }
h3 { font-size: 16px; line-height: 1.4 }
h4 { font-size: 14.5px; line-height: 1.35 }
h5 { font-size: 12px; font-weight: 600; color: var(--soft) }
a { color: inherit }
section { margin-top: 20px; padding: 22px 24px 24px; background: var(--card); border: 1px solid var(--rule); border-radius: 10px }
.lead, .note, .empty, figcaption p, footer { color: var(--soft); max-width: 76ch }
.lead { margin-bottom: 14px }
.empty { padding: 8px 0 }
footer { margin-top: 24px; font-size: 13px }
.about { color: var(--soft); margin-bottom: 8px; font-size: 14px }`

const head = `
.banner { display: flex; gap: 20px; padding: 24px 26px; border-radius: 10px; color: var(--banner-ink) }
.banner.ok { background: var(--banner-ok) } .banner.failed { background: var(--banner-failed) } .banner.incomplete { background: var(--banner-incomplete) }
.banner > svg { flex: none; width: 54px; height: 54px; margin-top: 4px; fill: none; stroke: currentColor; stroke-width: 2.4; stroke-linecap: round; stroke-linejoin: round }
.banner > div { flex: 1; min-width: 0 }
.banner .word { font-size: 14px; font-weight: 700; letter-spacing: .09em; text-transform: uppercase }
.banner h1 { font-size: 27px; line-height: 1.22; margin: 2px 0 6px; text-wrap: balance }
.banner ul { margin-top: 12px; padding-top: 10px; border-top: 1px solid rgb(255 255 255 / .4); font: 13.5px/1.6 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace }
.tiles { display: grid; grid-template-columns: repeat(4, minmax(0, 1fr)); gap: 14px; margin-top: 14px }
.tile { padding: 15px 18px 16px; background: var(--card); border: 1px solid var(--rule); border-radius: 10px }
.tile.good { border-top: 4px solid var(--good); padding-top: 12px } .tile.bad { border-top: 4px solid var(--bad); padding-top: 12px }
.tile h2 { font-size: 13px; font-weight: 600; color: var(--soft); margin: 0 }
.tile .value { font-size: 17px; line-height: 1.3; margin: 2px 0 6px }
.tile .value > b { font-size: 26px; letter-spacing: -.01em } .tile .value small { font-size: 14px; color: var(--soft) }
.tile.good .value > b { color: var(--good) } .tile.bad .value > b, .tile .bad { color: var(--bad) }
.tile ul { font-size: 13.5px; color: var(--soft) } .tile li b { color: var(--ink); font-weight: 600 } .tile .bad b { color: inherit }
.knee { margin-top: 14px; padding: 12px 18px; background: var(--card); border: 1px solid var(--rule); border-left: 4px solid var(--loaded); border-radius: 10px }`

const plot = `
figure { margin-top: 18px; break-inside: avoid } figure + figure { margin-top: 30px }
figcaption { margin-bottom: 8px } figcaption p { font-size: 13.5px; max-width: 105ch }
.legend { display: flex; flex-wrap: wrap; gap: 2px 20px; margin-top: 6px; font-size: 13.5px }
.legend li { display: flex; align-items: center; gap: 7px }
.key { flex: none; width: 28px; height: 10px }
.plot { display: grid; grid-template-columns: 58px minmax(0, 1fr); padding-right: 16px; font-size: 12px; line-height: 16px; color: var(--soft) }
.plot.rows1 { padding-top: 22px } .plot.rows3 { padding-top: 60px }
.field, .y { height: 150px } .tall .field, .tall .y { height: 250px } .mini .field, .mini .y { height: 64px }
.field { position: relative; grid-column: 2 }
.field > svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible }
.field > svg * { vector-effect: non-scaling-stroke }
.y, .x { position: relative } .y span, .x span { position: absolute; white-space: nowrap }
.y span { right: 8px; transform: translateY(-50%) }
.x { grid-column: 2; height: 22px; margin-top: 5px } .x span { transform: translateX(-50%) }
.mini .x { height: 17px; margin-top: 3px; font-size: 11px } .mini .x .odd { display: none }
.xtitle { grid-column: 2; text-align: right; font-size: 12px }
.grid { stroke: var(--rule); stroke-width: 1 } .base { stroke: var(--axis); stroke-width: 1 }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; stroke-linecap: round }
.line.offered { stroke: var(--offered); stroke-width: 2; stroke-dasharray: 1 5 }
.line.published { stroke: var(--published); stroke-width: 2; stroke-dasharray: 9 9; stroke-linecap: butt }
.line.loaded { stroke: var(--loaded); stroke-width: 3 } .line.knee { stroke: var(--loaded) }
.line.lag { stroke: var(--lag); stroke-width: 1.8 } .line.cpu { stroke: var(--cpu); stroke-width: 1.5 } .line.memory { stroke: var(--memory); stroke-width: 1.5 }
.area { stroke: none; opacity: .17 } .area.lag { fill: var(--lag) } .area.cpu { fill: var(--cpu) } .area.memory { fill: var(--memory) }
.bar { stroke: var(--card); stroke-width: 1 } .bar.body { fill: var(--bar) } .bar.tail { fill: var(--tail) }
.fault { stroke: var(--fault); stroke-width: 1.2; stroke-dasharray: 3 3; fill: none }
.quantile { stroke: var(--mark); stroke-width: 1.4; stroke-dasharray: 5 3; fill: none }
.objective { stroke: var(--bad); stroke-width: 1.6; fill: none }
.objective-label { position: absolute; transform: translateY(-100%); padding-left: 6px; color: var(--bad); font-weight: 600; font-size: 12.5px }
.badge { display: inline-block; min-width: 17px; padding: 0 4px; border-radius: 9px; background: var(--fault); color: var(--fault-ink); font-size: 11px; font-weight: 700; line-height: 17px; text-align: center; white-space: nowrap }
.field .badge { position: absolute; top: -20px; transform: translateX(-50%) }
.mark { position: absolute; padding: 0 5px; background: var(--card); color: var(--ink); font-size: 12.5px; font-weight: 600; white-space: nowrap } .mark.left { transform: translateX(-100%) }
.mark.row0 { top: -20px } .mark.row1 { top: -38px } .mark.row2 { top: -56px }
.mark::after { content: ""; position: absolute; left: 0; top: 4px; height: calc(100% + var(--stem, 0px)); border-left: 1.4px dashed var(--mark) } .mark.left::after { left: auto; right: 0 }
.mark.row1 { --stem: 18px } .mark.row2 { --stem: 36px }
.dot { position: absolute; width: 12px; height: 12px; margin: -6px 0 0 -6px }
.dot.kept { border-radius: 50%; background: var(--loaded); border: 2px solid var(--card) }
.dot.left::before, .dot.left::after { content: ""; position: absolute; left: -1px; top: 5px; width: 14px; height: 3px; background: var(--bad); transform: rotate(45deg) } .dot.left::after { transform: rotate(-45deg) }
.cursor, .tip { position: absolute; top: 0; display: none; pointer-events: none }
.cursor { height: 100%; border-left: 1px solid var(--ink) }
.tip { margin: 0; padding: 6px 10px; background: var(--ink); color: var(--card); border-radius: 6px; font: 12px/1.5 inherit; font-family: inherit; white-space: pre; z-index: 2 }
.on > .cursor, .on > .tip { display: block }`

const parts = `
.faults { margin-top: 24px } .faults ol { margin-top: 6px; columns: 2; column-gap: 32px; font-size: 13.5px } .faults li { break-inside: avoid; padding: 2px 0 } .faults time { margin: 0 6px; color: var(--soft) }
.scroll { overflow-x: auto }
table.wide { width: 100%; margin-top: 14px; border-collapse: collapse; font-size: 14px }
.wide th, .wide td { padding: 7px 10px; text-align: right; vertical-align: top; border-top: 1px solid var(--rule) }
.wide thead th { border-top: 0; color: var(--soft); font-size: 12.5px; font-weight: 600; vertical-align: bottom; overflow-wrap: normal }
.wide th:first-child { text-align: left; padding-left: 0 } .wide td:last-child, .wide th:last-child { padding-right: 0 }
.wide tbody th { font-weight: 600 } .wide .bad { color: var(--bad); font-weight: 700 } .wide .good { color: var(--good) }
.wide .below td { padding: 0 0 12px; border: 0; text-align: left }
.differences { columns: 2; column-gap: 24px; padding: 8px 14px; border-left: 4px solid var(--bad); background: var(--bad-wash); font: 13px/1.6 ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace }
.process { display: grid; grid-template-columns: 168px minmax(0, 1fr) minmax(0, 1fr); gap: 0 14px; padding: 14px 0 6px; border-top: 1px solid var(--rule); break-inside: avoid }
.process .who p { margin-top: 2px; font-size: 13px; color: var(--soft) } .measure h5 { margin: 0 0 6px 58px }
.columns { display: grid; grid-template-columns: repeat(3, minmax(0, 1fr)); gap: 8px 32px; margin-top: 8px }
.pairs { margin-top: 4px; font-size: 14px } .pairs div { display: flex; justify-content: space-between; gap: 14px; padding: 5px 0; border-top: 1px solid var(--rule) } .pairs div:first-child { border-top: 0 }
.pairs dt { flex: none; max-width: 60%; color: var(--soft) } .pairs dd { text-align: right }`

const phone = `
@media print, (min-width: 641px) and (max-width: 900px) { .mini .x .second { display: none } }
@media (max-width: 900px) { .tiles { grid-template-columns: repeat(2, minmax(0, 1fr)) } .columns { grid-template-columns: repeat(2, minmax(0, 1fr)) } }
@media (max-width: 640px) {
  body { padding: 12px 10px 32px }
  section { padding: 16px 14px 18px; margin-top: 14px }
  .banner { gap: 12px; padding: 18px 16px } .banner > svg { width: 34px; height: 34px } .banner h1 { font-size: 22px }
  .tiles { gap: 10px; margin-top: 10px } .tile { padding: 11px 12px 12px } .tile .value > b { font-size: 21px } .tile .value { font-size: 15px }
  .x .odd { display: none } .plot { grid-template-columns: 50px minmax(0, 1fr); padding-right: 12px } .tall .field, .tall .y { height: 210px }
  .faults ol, .differences { columns: 1 } .columns { grid-template-columns: minmax(0, 1fr); gap: 18px }
  .process { grid-template-columns: minmax(0, 1fr); gap: 8px } .measure h5 { margin-left: 50px }
  .wide, .wide tbody { display: block } .wide thead { display: none }
  .wide tr { display: grid; grid-template-columns: 1fr 1fr; gap: 0 18px; padding: 8px 0; border-top: 1px solid var(--rule) }
  .wide th, .wide td, .wide td:last-child { display: flex; justify-content: space-between; gap: 8px; padding: 2px 0; border: 0; text-align: right }
  .wide tbody th, .wide .below td { grid-column: 1 / -1; display: block; text-align: left } .wide .below { padding-top: 0; border: 0 }
  .wide td::before { content: attr(data-name); color: var(--soft); font-weight: 400; text-align: left } .wide .below td::before { content: none }
}
@media print {
  @page { margin: 14mm }
  :root { --page: #ffffff }
  body { padding: 0; font-size: 11pt } * { print-color-adjust: exact; -webkit-print-color-adjust: exact }
  section { border: 0; padding: 0; margin-top: 22px } h2, h3 { break-after: avoid } tr, .tile, .banner { break-inside: avoid }
  .tiles { grid-template-columns: repeat(4, minmax(0, 1fr)) } .tile { padding: 10px 11px } .tile .value > b { font-size: 20px } .cursor, .tip { display: none !important }
}`

/** The style sheet of the report: paper is always light, a screen is what its owner prefers. */
export const style = `:root { color-scheme: light dark;${light} }
@media screen and (prefers-color-scheme: dark) { :root {${dark} } }${text}${head}${plot}${parts}${phone}
`
