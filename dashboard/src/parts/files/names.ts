// Keys and what they are called. A key is text with / between its parts; a folder's ends in one.

import type { Shape } from '~/api/types'

export type Entry = Shape<'ObjectsShown'>

export const isFolder = (key: string): boolean => key.endsWith('/')

/** The last part of a key. */
export function nameOf(key: string): string {
  const plain = isFolder(key) ? key.slice(0, -1) : key
  return plain.slice(plain.lastIndexOf('/') + 1)
}

/** The folder in which something lies, with its / at the end; "" = at the top. */
export function folderOf(key: string): string {
  const plain = isFolder(key) ? key.slice(0, -1) : key
  return plain.slice(0, plain.lastIndexOf('/') + 1)
}

/** A folder as it was typed, as one with its / at the end. */
export function asFolder(text: string): string {
  const plain = text.replace(/^\/+|\/+$/g, '')
  return plain && `${plain}/`
}

/** The folders above and of a folder: "a/b/" -> a, b. */
export function steps(folder: string): { name: string; folder: string }[] {
  const parts = folder.split('/').slice(0, -1)
  return parts.map((name, at) => ({ name, folder: `${parts.slice(0, at + 1).join('/')}/` }))
}

const SHOWN: Record<string, string> = { '\n': '↵', '\r': '←', '\t': '→' }

/** A name as it is shown in one line: what cannot be seen otherwise, and what would turn the text around, becomes visible. */
export const visible = (name: string): string =>
  name.replace(/[\n\r\t]/g, (letter) => SHOWN[letter] ?? '').replace(/[\u202a-\u202e\u2066-\u2069\u200e\u200f]/g, '�')

/** Why a name can be none of a file or folder; "" = it can. The server has the last word. */
export function fault(name: string): string {
  if (!name) return 'A name is needed'
  if (name.includes('/')) return 'No / in a name: it parts folders'
  if (name === '.' || name === '..') return '. and .. are no names'
  return new TextEncoder().encode(name).length > 255 ? 'At most 255 bytes' : ''
}

/** A word of a shell command. */
export const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)

/** "1 file", "3 files". */
export const files = (count: number): string => `${count.toLocaleString('en-US')} ${count === 1 ? 'file' : 'files'}`
