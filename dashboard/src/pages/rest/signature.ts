// Arguments of a published function: what was typed, as it is sent.

import type { Shape } from '~/api/types'

export type Parameter = Shape<'ParameterShown'>
export type Endpoint = Shape<'EndpointShown'>

/** What was filled in: texts by name, files by name; `others` is a JSON object of further arguments. */
export interface Filled {
  texts: Record<string, string>
  files: Record<string, File>
  others: string
}

export const EMPTY: Filled = { texts: {}, files: {}, others: '' }

const WORDS: Record<string, string> = { integer: 'a whole number', number: 'a number', string: 'text', boolean: 'true or false', array: 'a JSON list', object: 'a JSON object', file: 'a file', '': 'JSON, or text' }

export const kindWords = (one: Parameter): string => `${WORDS[one.kind] ?? one.kind}${one.null ? ', or null' : ''}`

/** What is typed for an argument as JSON; undefined = it is left out.
 *
 * @throws Error that tells what is wrong with it.
 */
export function asJson(one: Parameter, text: string | undefined): string | undefined {
  const typed = text ?? ''
  if (one.kind === 'string') return typed === '' && !one.required ? undefined : one.null && typed === 'null' ? 'null' : JSON.stringify(typed)
  const trimmed = typed.trim()
  if (!trimmed) {
    if (one.required) throw new Error('It is needed')
    return undefined
  }
  if (trimmed === 'null' && one.null) return trimmed
  let value: unknown
  try {
    value = JSON.parse(trimmed)
  } catch {
    if (one.kind === '') return JSON.stringify(typed)
    throw new Error(`This is not ${kindWords(one)}`)
  }
  if (!fits(one.kind, value, trimmed)) throw new Error(`This is not ${kindWords(one)}`)
  return trimmed // as it is typed: numbers of any length arrive whole
}

function fits(kind: string, value: unknown, text: string): boolean {
  if (kind === 'integer') return /^-?\d+$/.test(text)
  if (kind === 'number' || kind === 'boolean') return typeof value === kind
  if (kind === 'array') return Array.isArray(value)
  if (kind === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  return true
}

export interface Arguments {
  /** JSON by name. */
  values: [name: string, json: string][]
  files: [name: string, file: File][]
}

/** All arguments, or what is wrong with them by name. */
export function collect(endpoint: Endpoint, filled: Filled): { ready?: Arguments; wrong: Record<string, string> } {
  const ready: Arguments = { values: [], files: [] }
  const wrong: Record<string, string> = {}
  for (const one of endpoint.parameters) {
    const file = filled.files[one.name]
    try {
      if (file) ready.files.push([one.name, file])
      else if (one.kind === 'file') {
        if (one.required) throw new Error('It is needed')
      } else {
        const json = asJson(one, filled.texts[one.name])
        if (json !== undefined) ready.values.push([one.name, json])
      }
    } catch (thrown) {
      wrong[one.name] = (thrown as Error).message
    }
  }
  if (endpoint.others && filled.others.trim()) {
    try {
      const more: unknown = JSON.parse(filled.others)
      if (!fits('object', more, '')) throw new Error()
      for (const [name, value] of Object.entries(more as object)) ready.values.push([name, JSON.stringify(value)])
    } catch {
      wrong[''] = 'This is not a JSON object'
    }
  }
  return Object.keys(wrong).length ? { wrong } : { ready, wrong }
}

/** The body of the request: JSON, or parts where there are files. */
export function body({ values, files }: Arguments): { body: BodyInit; headers: Record<string, string> } {
  if (!files.length) return { body: `{${values.map(([name, json]) => `${JSON.stringify(name)}: ${json}`).join(', ')}}`, headers: { 'content-type': 'application/json' } }
  const form = new FormData()
  for (const [name, json] of values) form.append(name, json)
  for (const [name, file] of files) form.append(name, file, file.name)
  return { body: form, headers: {} } // the browser names the boundary
}

const quoted = (text: string) => `'${text.replaceAll("'", String.raw`'\''`)}'`

/** The same call by curl. */
export function curl(url: string, { values, files }: Arguments): string {
  const flag = files.length ? '-F' : '--data-urlencode'
  const words = ['curl -u KEY:SECRET', ...values.map(([name, json]) => `${files.length ? '--form-string' : flag} ${quoted(`${name}=${json}`)}`), ...files.map(([name, file]) => `-F ${quoted(`${name}=@${file.name}`)}`)]
  if (!values.length && !files.length) words.push('-X POST')
  return [...words, quoted(`${url}?wait=30`)].join(' \\\n  ')
}
