/** Characters up to which a list or an object stands on one line. */
const SHORT = 88
const DEEPEST = 100

/** JSON as people write it: what is short stays on one line. */
export function pretty(value: unknown, depth = 0): string {
  const flat = JSON.stringify(value) ?? 'null'
  if (typeof value !== 'object' || value === null || depth > DEEPEST) return flat
  const line = flat.length <= SHORT ? spaced(value) : ''
  if (line && line.length + 2 * depth <= SHORT) return line
  const [open, close] = Array.isArray(value) ? '[]' : '{}'
  const parts = Array.isArray(value) ? value.map((one) => pretty(one, depth + 1)) : Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${pretty(one, depth + 1)}`)
  const pad = '  '.repeat(depth + 1)
  return `${open}\n${parts.map((one) => pad + one).join(',\n')}\n${'  '.repeat(depth)}${close}`
}

/** On one line, with spaces after commas and colons. */
function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const parts = Object.entries(value).map(([name, one]) => `${JSON.stringify(name)}: ${spaced(one)}`)
  return parts.length ? `{ ${parts.join(', ')} }` : '{}'
}
