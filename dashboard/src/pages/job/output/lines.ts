// What a job printed, as text that is safe and readable: colours are kept, other escape codes and control characters are not.

/** A run of characters in one look. */
export interface Piece {
  text: string
  /** Classes of output.module.css: c1 .. c6 the colours, bold, faint. */
  look: string
}

// eslint-disable-next-line no-control-regex
const ESCAPES = /\x1b(?:\[([0-9;:?<=>]*)[ -/]*([@-~])|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)|[ -/]*[0-~]|$)/g
// eslint-disable-next-line no-control-regex
const STRANGE = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g

/** Whether a text is more than plain characters. */
// eslint-disable-next-line no-control-regex
export const isPlain = (text: string): boolean => !/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/.test(text)

/** A line as a terminal would leave it: what a carriage return wrote over is gone, as of progress bars. */
export function settled(line: string): string {
  const end = line.endsWith('\r') ? line.length - 1 : line.length
  const at = line.lastIndexOf('\r', end - 1)
  return at < 0 && end === line.length ? line : line.slice(at + 1, end)
}

/** The same without colours, for search. */
export const bare = (line: string): string => (isPlain(line) ? line : line.replace(ESCAPES, '').replace(STRANGE, ''))

/** The pieces of a text of any lines. A colour ends with its line's block, at the latest. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = []
  let look = ''
  let from = 0
  const add = (raw: string) => {
    const clean = raw.replace(STRANGE, '\ufffd')
    if (clean) found.push({ text: clean, look })
  }
  for (const one of text.matchAll(ESCAPES)) {
    add(text.slice(from, one.index))
    from = one.index + one[0].length
    if (one[2] === 'm') look = changed(look, one[1] ?? '')
  }
  add(text.slice(from))
  return found
}

function changed(look: string, codes: string): string {
  let now = look ? look.split(' ') : []
  const all = codes.split(/[;:]/).map(Number)
  for (let at = 0; at < all.length; at++) {
    const code = all[at] ?? 0
    if (code === 38 || code === 48) at += all[at + 1] === 5 ? 2 : all[at + 1] === 2 ? 4 : 0 // one of 256, or red, green, blue
    else if (code === 0) now = []
    else if (code === 1) now = [...now, 'bold']
    else if (code === 2) now = [...now, 'faint']
    else if (code === 22) now = now.filter((one) => one !== 'bold' && one !== 'faint')
    else if ((code >= 30 && code <= 39) || (code >= 90 && code <= 97)) {
      const colour = code % 10
      now = now.filter((one) => !one.startsWith('c'))
      if (code !== 39 && colour >= 1 && colour <= 6) now.push(`c${colour}`)
    }
  }
  return [...new Set(now)].join(' ')
}
