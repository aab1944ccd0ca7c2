import { failure } from "./RunError.ts"

/**
 * Rows of CSV text as Python's csv module reads them: quoted fields may hold the delimiter, doubled quotes and line ends;
 * a line end is `\n`, whatever the text had.
 */
export const csvRows = (text: string, delimiter = ","): Array<Array<string>> => {
  if (delimiter.length !== 1)
    throw failure(`"delimiter" must be a 1-character string, found ${JSON.stringify(delimiter)}`)
  const source = text.replace(/\r\n?/g, "\n")
  const rows: Array<Array<string>> = []
  let row: Array<string> = []
  let field = ""
  let isQuoted = false
  let wasQuoted = false
  const endRow = () => {
    if (row.length > 0 || field !== "" || wasQuoted) rows.push([...row, field])
    else rows.push([])
    row = []
    field = ""
    wasQuoted = false
  }
  for (let index = 0; index < source.length; index++) {
    const char = source[index]
    if (isQuoted) {
      if (char !== '"') field += char
      else if (source[index + 1] === '"') {
        field += '"'
        index++
      } else isQuoted = false
    } else if (char === '"' && field === "" && !wasQuoted) {
      isQuoted = true
      wasQuoted = true
    } else if (char === delimiter) {
      row.push(field)
      field = ""
      wasQuoted = false
    } else if (char === "\n") endRow()
    else field += char
  }
  if (row.length > 0 || field !== "" || wasQuoted) endRow()
  return rows
}
