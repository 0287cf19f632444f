// Steps of a build as people write them, and the recipe that the server takes.

export const EXAMPLE = `apt git graphviz
pip cowsay==6.1
run mkdir -p /opt/data`

/** The recipe of steps: a line each, `apt PACKAGES`, `pip REQUIREMENT` or `run COMMAND`; # begins a note.
 *
 * @throws Error that says which line is none.
 */
export function recipe(steps: string): string {
  const lines: string[] = []
  for (const [at, whole] of steps.split('\n').entries()) {
    const line = whole.trim()
    if (!line || line.startsWith('#')) continue
    const [, word = '', rest = ''] = /^(apt|apt-get|pip|run|base)\s+(.*)$/.exec(line) ?? []
    if (!rest) throw new Error(`Line ${at + 1} begins with none of apt, pip, run`)
    if (word === 'base') lines.push(line)
    else if (word === 'run') lines.push(`run ${command(rest)}`)
    else lines.push(...packages(rest).map((one) => `${word === 'pip' ? 'pip' : 'apt'} ${one}`))
  }
  if (!lines.some((line) => !line.startsWith('base '))) throw new Error('There is no step yet')
  return lines.join('\n')
}

/** A command as a JSON string, which it may be already, as in a recipe that was saved. */
function command(text: string): string {
  try {
    if (typeof JSON.parse(text) === 'string') return text
  } catch {
    // It is none.
  }
  return JSON.stringify(text)
}

/** "install -y a b" -> a, b; one requirement with a marker or hashes stays whole. */
function packages(text: string): string[] {
  const plain = text.replace(/^install\s+(-\S+\s+)*/, '')
  return /[;@]|\s--|\s[<>=!~]|,\s/.test(plain) ? [plain] : plain.split(/\s+/)
}

/** A recipe as steps to change, its base left out. */
export function stepsOf(recipe: string): string {
  const lines = recipe.split('\n').filter((line) => line.trim() && !line.startsWith('base ') && !line.startsWith('#'))
  return lines
    .map((line) => {
      if (!line.startsWith('run ')) return line
      const text = JSON.parse(line.slice(4)) as string
      return text.includes('\n') ? line : `run ${text}`
    })
    .join('\n')
}
