// Who is logged in: the token of a session, in the storage of this origin, never in a cookie. All tabs share it.

import { useSyncExternalStore } from 'react'

const KEY = 'picloud.token'
const heard = new Set<() => void>()
let over = false

/** The session's token; "" = nobody is logged in. */
export const token = (): string => localStorage.getItem(KEY) ?? ''

function change(value: string): void {
  if (value) localStorage.setItem(KEY, value)
  else localStorage.removeItem(KEY)
  heard.forEach((tell) => tell())
}

/** A login has succeeded. */
export function begin(value: string): void {
  over = false
  change(value)
}

/** Whether the session ended by itself, or was ended elsewhere, while this page was open. */
export const endedBefore = (): boolean => over

/** The session is over for this browser. */
export const end = (): void => change('')

/** The server does not know this token; a newer one of another tab is left alone. */
export function expired(shown: string): void {
  if (token() !== shown) return
  over = true
  end()
}

function listen(tell: () => void): () => void {
  const other = (event: StorageEvent) => {
    if (event.key === KEY || event.key === null) tell()
  }
  heard.add(tell)
  addEventListener('storage', other)
  return () => {
    heard.delete(tell)
    removeEventListener('storage', other)
  }
}

/** The token, and a new rendering when it changes, in this tab or another. */
export const useToken = (): string => useSyncExternalStore(listen, token)

/** Where to go after a login: a path of ours that the address names, never another site. */
export function wanted(search = location.search): string {
  const next = new URLSearchParams(search).get('next') ?? '/'
  return /^\/(?![/\\])/.test(next) && !next.startsWith('/login') ? next : '/'
}

/** The login page that leads back to here. */
export function loginPath(): string {
  const here = location.pathname + location.search
  return here === '/' || here.startsWith('/login') ? '/login' : `/login?next=${encodeURIComponent(here)}`
}
