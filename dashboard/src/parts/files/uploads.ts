// The uploads of this browser tab: they go on while one looks at other pages.

import { useSyncExternalStore } from 'react'
import { type ApiError, asError } from '~/api/error'
import { post } from '~/api/client'
import { send } from './sending'

export type State = 'waits' | 'sends' | 'done' | 'failed' | 'exists' | 'stopped'

export interface Upload {
  readonly id: number
  readonly file: File
  readonly key: string
  readonly volume: string
  readonly state: State
  /** Bytes so far. */
  readonly sent: number
  readonly error?: ApiError
}

/** Files under way at once. */
const ABREAST = 3
const ENDED: State[] = ['done', 'failed', 'exists', 'stopped']

let list: readonly Upload[] = []
let count = 0
const stops = new Map<number, AbortController>()
const heard = new Set<() => void>()
let drawn = 0

function change(next: readonly Upload[]): void {
  list = next
  // Thousands of small files change this list more often than a screen is drawn.
  drawn ||= requestAnimationFrame(() => {
    drawn = 0
    heard.forEach((tell) => tell())
  })
}

const alter = (id: number, values: Partial<Upload>) => change(list.map((one) => (one.id === id ? { ...one, ...values } : one)))
const listen = (tell: () => void) => {
  heard.add(tell)
  return () => heard.delete(tell)
}

/** All that were begun and not put away, in the order in which they came. */
export const useUploads = (): readonly Upload[] => useSyncExternalStore(listen, () => list)

/** Whether something is not there yet. */
export const underWay = (all: readonly Upload[]): boolean => all.some((one) => !ENDED.includes(one.state))

export interface Wanted {
  file: File
  key: string
}

/** Begin to store files. */
export function upload(volume: string, wanted: Wanted[]): void {
  change([...list, ...wanted.map((one) => ({ ...one, volume, id: ++count, state: 'waits' as const, sent: 0 }))])
  next()
}

function next(): void {
  const free = ABREAST - stops.size
  for (const one of list.filter(({ state, id }) => state === 'waits' && !stops.has(id)).slice(0, free)) void run(one)
}

async function run(one: Upload, replace = chosen.has(one.id)): Promise<void> {
  const stop = new AbortController()
  stops.set(one.id, stop)
  alter(one.id, { state: 'sends', sent: 0, error: undefined })
  try {
    await send({ ...one, replace, stop: stop.signal, told: (sent) => alter(one.id, { sent }) })
    alter(one.id, { state: 'done', sent: one.file.size })
  } catch (thrown) {
    const error = asError(thrown)
    alter(one.id, stop.signal.aborted ? { state: 'stopped' } : { state: error.code === 'conflict' ? 'exists' : 'failed', error })
  } finally {
    stops.delete(one.id)
    next()
  }
}

const chosen = new Set<number>()

/** Send these once more; `replace`: over what is there. */
export function repeat(ids: number[], replace: boolean): void {
  const those = new Set(ids)
  if (replace) ids.forEach((id) => chosen.add(id))
  change(list.map((one) => (those.has(one.id) && !stops.has(one.id) ? { ...one, state: 'waits', sent: 0, error: undefined } : one)))
  next()
}

/** End one that waits or is under way. */
export function stop(id: number): void {
  const running = stops.get(id)
  if (running) running.abort(new DOMException('stopped', 'AbortError'))
  else alter(id, { state: 'stopped' })
}

export const stopAll = (): void => list.filter((one) => !ENDED.includes(one.state)).forEach((one) => stop(one.id))

/** Put away what has ended. */
export const clear = (): void => change(list.filter((one) => !ENDED.includes(one.state)))

addEventListener('beforeunload', (event) => {
  if (underWay(list)) event.preventDefault()
})

/** What was dropped: files with their paths, and folders in which there is nothing. */
export interface Dropped {
  files: { file: File; path: string }[]
  empty: string[]
}

/** All files of what was dropped, those of folders too. To be called at once: later the browser has forgotten them. */
export async function dropped(data: DataTransfer): Promise<Dropped> {
  const entries = [...data.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null)
  const found: Dropped = { files: [], empty: [] }
  // What another program hands over without a file system has no entries.
  if (!entries.length) found.files = [...data.files].map((file) => ({ file, path: file.name }))
  for (const entry of entries) await walk(entry, '', found)
  return found
}

async function walk(entry: FileSystemEntry, above: string, found: Dropped): Promise<void> {
  const path = above + entry.name
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))
    found.files.push({ file, path })
    return
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader()
  const inside: FileSystemEntry[] = []
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
    if (!some.length) break
    inside.push(...some)
  }
  if (!inside.length) found.empty.push(path)
  for (const one of inside) await walk(one, `${path}/`, found)
}

/** Begin to store what was dropped into a folder. */
export async function take(volume: string, folder: string, { files, empty }: Dropped): Promise<void> {
  upload(volume, files.map(({ file, path }) => ({ file, key: folder + path })))
  for (const path of empty) await post('/v1/file/folder', { key: folder + path, volume })
}
