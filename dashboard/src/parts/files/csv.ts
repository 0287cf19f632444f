// Tables of values with separators (RFC 4180), as far as a preview needs them.

export interface Sheet {
  rows: string[][]
  /** There are more rows, or more of the last one. */
  cut: boolean
}

/** The separator that the first line holds most of. */
export function separator(text: string): string {
  const line = text.slice(0, text.search(/[\r\n]|$/))
  const counts = [',', '\t', ';', '|'].map((one) => ({ one, count: line.split(one).length }))
  return counts.reduce((a, b) => (b.count > a.count ? b : a)).one
}

/** The first rows of a text. A quoted field may hold separators and line ends; "" in it is one ". */
export function sheet(text: string, most: number, between = separator(text)): Sheet {
  const rows: string[][] = []
  let row: string[] = []
  let field = ''
  let inside = false
  let at = text.startsWith('\ufeff') ? 1 : 0
  const close = () => {
    row.push(field)
    field = ''
  }
  for (; at < text.length && rows.length < most; at++) {
    const letter = text.charAt(at)
    if (inside) {
      if (letter !== '"') field += letter
      else if (text.charAt(at + 1) === '"') field += text.charAt(++at)
      else inside = false
    } else if (letter === '"' && field === '') inside = true
    else if (letter === between) close()
    else if (letter === '\n' || letter === '\r') {
      if (letter === '\r' && text.charAt(at + 1) === '\n') at++
      close()
      rows.push(row)
      row = []
    } else field += letter
  }
  const rest = at < text.length
  if (!rest && (field || row.length)) {
    close()
    rows.push(row)
  }
  return { rows, cut: rest }
}
