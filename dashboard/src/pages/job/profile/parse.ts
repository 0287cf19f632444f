// The text of Python's profiler as a worker prints it: a table of functions, then who called whom.

export interface Func {
  /** "file:line(name)" or "{built-in method name}", as it stands there. */
  id: string
  calls: number
  /** Seconds in itself, and with what it called. */
  own: number
  whole: number
}

export interface Profile {
  functions: Func[]
  /** By caller: what it called, and the seconds that took under it. */
  calls: Map<string, { to: string; whole: number }[]>
}

export type Kind = 'own' | 'library' | 'built-in'

const ROW = /^\s*(\d+)(?:\/\d+)?\s+([\d.]+)\s+[\d.]+\s+([\d.]+)\s+[\d.]+\s(.+)$/
const CALLED = /^(?:->)?\s*\d+(?:\/\d+)?\s+[\d.]+\s+([\d.]+)\s\s(.+)$/
const HEAD = /^Function\s+called\.\.\.$/

export function parse(text: string): Profile {
  const functions: Func[] = []
  const calls: Profile['calls'] = new Map()
  let width = 0
  let from = ''
  for (const line of text.split('\n')) {
    if (HEAD.test(line)) width = line.indexOf('called...')
    else if (!width) {
      const found = ROW.exec(line)
      if (found) functions.push({ id: found[4] ?? '', calls: Number(found[1]), own: Number(found[2]), whole: Number(found[3]) })
    } else {
      from = line.slice(0, width).trim() || from
      const found = CALLED.exec(line.slice(width).trim())
      if (!found?.[2]) continue
      const all = calls.get(from) ?? []
      all.push({ to: found[2], whole: Number(found[1]) })
      calls.set(from, all)
    }
  }
  return { functions, calls }
}

/** The name alone, where it is from, and whose code it is. */
export function read(id: string): { name: string; place: string; kind: Kind } {
  const found = /^(.*):(\d+)\((.*)\)$/.exec(id)
  if (!found) return { name: id.replace(/^\{(?:built-in )?(?:method )?/, '').replace(/\}$/, ''), place: 'built in', kind: 'built-in' }
  const [, file = '', line = '', name = ''] = found
  if (file === '~') return { name, place: 'built in', kind: 'built-in' }
  return { name, place: `${file.split('/').slice(-2).join('/')}:${line}`, kind: /\/lib\/python|\/site-packages\/|\/dist-packages\/|^<frozen/.test(file) ? 'library' : 'own' }
}

export interface Node {
  id: string
  /** Seconds. */
  value: number
  /** Where it begins in its parent, as it is drawn: the seconds before it. */
  before: number
  children: Node[]
}

const DEEPEST = 40
/** Of the whole; what is less is left out. */
const LEAST = 0.001

/** Who called whom as a tree. What a function took under each caller is known; below that, it is taken to be in the same shares everywhere. */
export function tree({ functions, calls }: Profile): Node {
  const known = new Map(functions.map((one) => [one.id, one]))
  const called = new Set<string>()
  for (const [from, all] of calls) for (const { to } of all) if (to !== from) called.add(to)
  let tops = functions.filter((one) => !called.has(one.id))
  if (!tops.length) tops = functions.slice(0, 1)
  const total = tops.reduce((sum, one) => sum + one.whole, 0)
  const grow = (id: string, value: number, before: number, path: Set<string>): Node => {
    const node: Node = { id, value, before, children: [] }
    const whole = known.get(id)?.whole ?? 0
    if (path.size >= DEEPEST || whole <= 0) return node
    const under = new Set(path).add(id)
    const parts = (calls.get(id) ?? []).filter((one) => !under.has(one.to)).map((one) => ({ ...one, value: (one.whole / whole) * value }))
    const sum = parts.reduce((all, one) => all + one.value, 0)
    const squeeze = sum > value ? value / sum : 1 // of recursions, that are counted twice
    let at = 0
    for (const one of parts.sort((a, b) => b.value - a.value)) {
      const size = one.value * squeeze
      if (size < total * LEAST) continue
      node.children.push(grow(one.to, size, at, under))
      at += size
    }
    return node
  }
  const root: Node = { id: '', value: total, before: 0, children: [] }
  let at = 0
  for (const one of tops) {
    if (one.whole <= total * LEAST) continue
    root.children.push(grow(one.id, one.whole, at, new Set()))
    at += one.whole
  }
  return root
}
