// Builds that this tab drives: they go on while one looks at other pages, and after the page was loaded anew.

import { useSyncExternalStore } from 'react'
import { get, post } from '~/api/client'
import { ApiError, asError } from '~/api/error'
import { fresh } from './states'

export type Phase = 'setup' | 'run' | 'save' | 'done' | 'failed'

/** What outlives a reload. */
interface Kept {
  name: string
  recipe: string
  /** Of the script, by which its output is found. */
  token: string
}

export interface Build extends Kept {
  phase: Phase
  output: string
  error?: ApiError
}

const KEY = 'picloud.builds'
/** Letters of output that are kept. */
const MOST = 1 << 20
const PAUSE = 2000

let all: Record<string, Build> = {}
const heard = new Set<() => void>()

function alter(name: string, values: Partial<Build>): void {
  const one = all[name]
  if (!one) return
  all = { ...all, [name]: { ...one, ...values } }
  heard.forEach((tell) => tell())
}

const listen = (tell: () => void) => {
  heard.add(tell)
  return () => heard.delete(tell)
}

/** The build of an environment in this tab, if there is one. */
export const useBuild = (name: string): Build | undefined => useSyncExternalStore(listen, () => all[name])

/** Build an environment whose setup job has been asked for. */
export function build(name: string, recipe: string): void {
  begin({ name, recipe, token: fresh() })
}

/** Let its log go. */
export function forget(name: string): void {
  all = Object.fromEntries(Object.entries(all).filter(([one]) => one !== name))
  keep()
  heard.forEach((tell) => tell())
}

function begin(kept: Kept): void {
  all = { ...all, [kept.name]: { ...kept, phase: 'setup', output: '' } }
  keep()
  heard.forEach((tell) => tell())
  void drive(kept)
}

function keep(): void {
  const live = Object.values(all).filter((one) => one.phase !== 'done' && one.phase !== 'failed')
  sessionStorage.setItem(KEY, JSON.stringify(live.map(({ name, recipe, token }) => ({ name, recipe, token }))))
}

async function drive(kept: Kept): Promise<void> {
  const { name } = kept
  try {
    await until(name, 'setup', 'edit')
    alter(name, { phase: 'run' })
    await patient(() => post('/v1/environment/run', { name, token: kept.token, recipe: kept.recipe }))
    await follow(kept)
    alter(name, { phase: 'save' })
    await patient(() => post('/v1/environment/save', { name, token: fresh(), leave: true }))
    await until(name, 'save', 'idle')
    alter(name, { phase: 'done' })
  } catch (thrown) {
    alter(name, { phase: 'failed', error: asError(thrown) })
  }
  keep()
}

/** Wait for the end of an action. */
async function until(name: string, seen: string, wanted: string): Promise<void> {
  for (;;) {
    const one = await patient(() => get('/v1/environment/wait', { name, action: seen }))
    if (one.action === wanted) return
    if (one.action !== seen) throw new ApiError({ message: one.trouble || `the environment is ${one.action}`, hint: 'its setup server was ended or used by somebody else' }, 0)
  }
}

async function follow({ name, token }: Kept): Promise<void> {
  const letters = new TextDecoder()
  for (let offset = 0; ; ) {
    const told = await patient(() => get('/v1/environment/output', { token, offset }))
    const bytes = Uint8Array.from(atob(told.data), (one) => one.charCodeAt(0))
    offset = told.offset + bytes.length
    if (bytes.length) alter(name, { output: ((all[name]?.output ?? '') + letters.decode(bytes, { stream: true })).slice(-MOST) })
    if (told.error) throw new ApiError({ message: told.error }, 0)
    if (told.exit_code === 0) return
    if (told.exit_code !== null) throw new ApiError({ message: `a step has failed (exit ${told.exit_code}); nothing is saved`, hint: 'the end of the log says why' }, 0)
  }
}

/** What may succeed later is asked again: the server may be away for a while. */
async function patient<A>(ask: () => Promise<A>): Promise<A> {
  for (let left = 30; ; left--) {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof ApiError) || !(error.retry || error.status === 0) || !left) throw error
      await new Promise((resolve) => setTimeout(resolve, PAUSE))
    }
  }
}

for (const one of JSON.parse(sessionStorage.getItem(KEY) ?? '[]') as Kept[]) begin(one)
