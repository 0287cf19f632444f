// Colours for Python: enough for reading one function, without a library.

export interface Word {
  text: string
  kind: '' | 'string' | 'comment' | 'number' | 'key' | 'name'
}

const KEYS =
  'False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda match nonlocal not or pass raise return try while with yield'

const WORD = new RegExp(
  [
    String.raw`(?<comment>#[^\n]*)`,
    String.raw`(?<string>\b[rbfuRBFU]{0,2}(?:"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$))|\b[rbfuRBFU]{0,2}(?:"(?:\\.|[^"\\\n])*(?:"|$)|'(?:\\.|[^'\\\n])*(?:'|$))|"""[\s\S]*?(?:"""|$)|'''[\s\S]*?(?:'''|$)|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?)`,
    String.raw`(?<name>(?<=\b(?:def|class)\s+)\w+|(?<=^\s*)@[\w.]+)`,
    String.raw`(?<key>\b(?:${KEYS.replaceAll(' ', '|')})\b)`,
    String.raw`(?<number>\b\d[\w.]*)`,
  ].join('|'),
  'gm',
)

/** The source in words; together they are the whole of it. */
export function painted(source: string): Word[] {
  const found: Word[] = []
  let from = 0
  for (const one of source.matchAll(WORD)) {
    if (one.index > from) found.push({ text: source.slice(from, one.index), kind: '' })
    const kind = Object.entries(one.groups ?? {}).find(([, text]) => text !== undefined)?.[0] as Word['kind'] | undefined
    found.push({ text: one[0], kind: kind ?? '' })
    from = one.index + one[0].length
  }
  if (from < source.length) found.push({ text: source.slice(from), kind: '' })
  return found
}
