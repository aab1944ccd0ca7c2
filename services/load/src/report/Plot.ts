import { coordinate } from "./Format.ts"
import { markup, nothing, type Html } from "./Html.ts"
import { span, type Scale } from "./Scale.ts"
import { pieces, thin, type Point } from "./Series.ts"

/*
 * A plot is an SVG without text that the browser stretches to the space there is, under labels that are HTML: so the
 * lines use the width of a phone as well as that of a sheet of paper, and letters keep their size on both.
 */

/** A tick of an axis: its place in the drawing, and what is written there. */
export interface Tick {
  readonly place: number
  readonly label: string
}

export const ticks = (
  values: ReadonlyArray<number>,
  scale: Scale,
  label: (value: number) => string
): ReadonlyArray<Tick> => values.map((value) => ({ place: scale(value), label: label(value) }))

/** What is shown while a pointer is over a place of the plot. */
export interface Tip {
  readonly place: number
  readonly lines: ReadonlyArray<string>
}

/** A line across a plot with a short text at its end. */
export interface Mark {
  readonly place: number
  readonly label: string
  /** Written in this row above the plot, counted from the bottom one; several rows keep labels apart. */
  readonly row: number
  /** Whether the text stands left of the line. */
  readonly isLeft: boolean
}

export interface Plot {
  /** What the plot shows, for those who cannot see it. */
  readonly description: string
  readonly size: "tall" | "middle" | "mini"
  readonly x: ReadonlyArray<Tick>
  readonly y: ReadonlyArray<Tick>
  /** What the horizontal axis counts. */
  readonly xTitle: string
  /** Markup inside the SVG. */
  readonly drawing: ReadonlyArray<Html>
  /** HTML over the SVG, placed by `place`. */
  readonly over: ReadonlyArray<Html>
  /** Rows of labels above the plot that `over` uses. */
  readonly rows: 0 | 1 | 3
  readonly tips: ReadonlyArray<Tip>
}

const share = (place: number): string => `${coordinate((place / span) * 100)}%`

/** Attributes that put an element at a place of the plot. */
export const place = (x: number, y?: number): Html =>
  y === undefined ? markup`style="left:${share(x)}"` : markup`style="left:${share(x)};top:${share(y)}"`

const pathOf = (line: ReadonlyArray<Point>, x: Scale, y: Scale): string =>
  line.map((point, k) => `${k === 0 ? "M" : "L"}${coordinate(x(point.at))} ${coordinate(y(point.value))}`).join("")

/** The series as a line, broken where nothing was measured. A lone point becomes a dot. `style` is a class of the style sheet. */
export const drawLine = (series: ReadonlyArray<Point>, x: Scale, y: Scale, style: string): Html => {
  const parts = pieces(series)
  const limit = Math.max(8, Math.floor(300 / Math.max(1, parts.length)))
  const path = parts.map((piece) => pathOf(thin(piece, limit), x, y) + (piece.length === 1 ? "h0" : "")).join("")
  return path === "" ? nothing : markup`<path class="line ${style}" d="${path}" />`
}

/** The space between the series and the bottom. */
export const drawArea = (series: ReadonlyArray<Point>, x: Scale, y: Scale, style: string): Html => {
  const parts = pieces(series).filter((piece) => piece.length > 1)
  const limit = Math.max(8, Math.floor(300 / Math.max(1, parts.length)))
  const path = parts.map((piece) => {
    const line = thin(piece, limit)
    const bottom = coordinate(span)
    return `${pathOf(line, x, y)}L${coordinate(x(line.at(-1)?.at ?? 0))} ${bottom}L${coordinate(x(line[0]?.at ?? 0))} ${bottom}Z`
  })
  return path.length === 0 ? nothing : markup`<path class="area ${style}" d="${path.join("")}" />`
}

export const drawBar = (x: Scale, from: number, to: number, height: number, style: string, title: string): Html => {
  const left = x(from)
  const width = Math.max(0, x(to) - left)
  return markup`<rect
    class="bar ${style}"
    x="${coordinate(left)}"
    y="${coordinate(span - height)}"
    width="${coordinate(width)}"
    height="${coordinate(height)}"
    ><title>${title}</title></rect
  >`
}

export const drawVerticals = (places: ReadonlyArray<number>, style: string): Html =>
  places.length === 0
    ? nothing
    : markup`<path class="${style}" d="${places.map((at) => `M${coordinate(at)} 0V${coordinate(span)}`).join("")}" />`

export const drawHorizontal = (at: number, style: string): Html =>
  markup`<path class="${style}" d="M0 ${coordinate(at)}H${coordinate(span)}" />`

/** A label above the plot, beside its line. */
export const markLabel = ({ isLeft, label, place: at, row }: Mark): Html =>
  markup`<span class="mark row${coordinate(row)}${isLeft ? " left" : ""}" ${place(at)}>${label}</span>`

/** More labels than this give way where there is little room. */
const mostLabels = 5

/** Every second label goes first, then every second of those that stay. */
const xTick = (tick: Tick, k: number, all: ReadonlyArray<Tick>): Html => {
  const style = all.length <= mostLabels ? "" : k % 2 === 1 ? "odd" : k % 4 === 2 ? "second" : ""
  return markup`<span class="${style}" ${place(tick.place)}>${tick.label}</span>`
}

export const renderPlot = (plot: Plot): Html => {
  const grid = [
    ...plot.y.map((tick) => drawHorizontal(tick.place, tick.place >= span ? "base" : "grid")),
    drawVerticals(plot.size === "mini" ? [] : plot.x.map((tick) => tick.place), "grid")
  ]
  const tips = JSON.stringify(plot.tips.map((tip) => [Math.round(tip.place), tip.lines.join("\n")]))
  const isBare = plot.tips.length === 0
  return markup`<div class="plot ${plot.size} rows${coordinate(plot.rows)}">
<div class="y" aria-hidden="true">${plot.y.map((tick) => markup`<span style="top:${share(tick.place)}">${tick.label}</span>`)}</div>
<div class="field"${isBare ? nothing : markup` data-tips="${tips}"`}><svg viewBox="0 0 ${coordinate(span)} ${coordinate(span)}" preserveAspectRatio="none" role="img" aria-label="${plot.description}">${grid}${plot.drawing}</svg>${plot.over}${isBare ? nothing : markup`<i class="cursor"></i><pre class="tip"></pre>`}</div>
<div class="x" aria-hidden="true">${plot.x.map(xTick)}</div>
${plot.xTitle === "" ? nothing : markup`<div class="xtitle">${plot.xTitle}</div>`}
</div>`
}

/** One entry of a legend: the line as it is drawn, and its name. */
export const legendEntry = (style: string, name: string): Html =>
  markup`<li><svg class="key" viewBox="0 0 28 10" aria-hidden="true"><path class="line ${style}" d="M1 5H27"/></svg>${name}</li>`

export interface Figure {
  readonly title: string
  /** What is seen, in a sentence. */
  readonly note: string
  readonly legend: ReadonlyArray<Html>
  readonly body: Html
}

export const renderFigure = ({ body, legend, note, title }: Figure): Html =>
  markup`<figure><figcaption><h3>${title}</h3><p>${note}</p>${legend.length === 0 ? nothing : markup`<ul class="legend">${legend}</ul>`}</figcaption>${body}</figure>`
