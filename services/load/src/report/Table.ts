import { markup, nothing, type Html } from "./Html.ts"

export interface Cell {
  readonly text: string
  readonly tone: "plain" | "good" | "bad"
}

export const cell = (text: string, tone: Cell["tone"] = "plain"): Cell => ({ text, tone })

export interface Table {
  readonly head: ReadonlyArray<string>
  /** The first cell names the row. What is `below` gets a row of its own, as wide as the table. */
  readonly rows: ReadonlyArray<{ readonly cells: ReadonlyArray<Cell>; readonly below: Html }>
}

/** A table that on a phone becomes a card for each row; the head of the column then stands before each value. */
export const renderTable = ({ head, rows }: Table): Html =>
  markup`<div class="scroll">
    <table class="wide">
      <thead>
        <tr>
          ${head.map((name) => markup`<th scope="col">${name}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ({ below, cells }) =>
            markup`<tr>
                ${cells.map(({ text, tone }, k) =>
                  k === 0
                    ? markup`<th scope="row" class="${tone}">${text}</th>`
                    : markup`<td class="${tone}" data-name="${head[k] ?? ""}">${text}</td>`
                )}
              </tr>
              ${
                below === nothing
                  ? nothing
                  : markup`<tr class="below">
                      <td colspan="${String(head.length)}">${below}</td>
                    </tr>`
              }`
        )}
      </tbody>
    </table>
  </div>`

/** Names and values. */
export const renderPairs = (pairs: ReadonlyArray<readonly [name: string, value: string]>): Html =>
  markup`<dl class="pairs">
    ${pairs.map(
      ([name, value]) =>
        markup`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`
    )}
  </dl>`
