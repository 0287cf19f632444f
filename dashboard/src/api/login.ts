// The ways in: a one-time link, a password, OpenID Connect.

import { get, post, request } from './client'
import { ApiError } from './error'
import { begin, end, wanted } from './session'

const HOLDER = 'picloud.holder'
const NEXT = 'picloud.next'
/** How tickets look; "#main" is none. */
const TICKET = /^[\w-]{20,}$/

export async function byPassword(user: string, password: string, account = ''): Promise<void> {
  begin((await post('/v1/login/password', { user, password, account })).token)
}

async function byTicket(ticket: string): Promise<void> {
  begin((await post('/v1/login', { ticket })).token)
}

/** The ticket in the address, which is taken out of it before anything else happens: it must stay in no history. */
function ticketHere(): string {
  if (location.pathname !== '/') return ''
  const query = new URLSearchParams(location.search)
  const ticket = query.get('ticket') ?? location.hash.slice(1)
  query.delete('ticket')
  if (!TICKET.test(ticket)) return ''
  history.replaceState(null, '', query.size ? `/?${query}` : '/')
  return ticket
}

/** Trade what the address brought along; before the first rendering, so that it happens once.
 *
 * @returns the error, if a ticket was no good.
 */
export async function enter(): Promise<ApiError | undefined> {
  const ticket = ticketHere()
  if (!ticket) return undefined
  try {
    await byTicket(ticket)
    history.replaceState(null, '', wanted())
    return undefined
  } catch (thrown) {
    return thrown instanceof ApiError ? thrown : undefined
  }
}

/** Log out here and at the server, which may be out of reach. */
export async function logOut(): Promise<void> {
  await request('/v1/logout', { method: 'POST', body: '{}' }).catch(() => undefined)
  end()
}

/** What the server lets strangers do. */
export const doors = () => get('/v1/login')

// -- OpenID Connect: who begins keeps a secret whose sha256 the server is told, so that a stolen code is worth nothing ----

const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** Go to the provider. */
export async function beginOidc(): Promise<void> {
  if (!isSecureContext) throw new ApiError({ message: 'this way in needs https', hint: 'open the dashboard by https, or log in with a password' }, 0)
  const holder = hex(crypto.getRandomValues(new Uint8Array(32)))
  sessionStorage.setItem(HOLDER, holder)
  sessionStorage.setItem(NEXT, wanted())
  const digest = hex(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(holder))))
  location.assign((await post('/v1/login/oidc', { holder: digest })).url)
}

/** What somebody has in hand who comes back from the provider. */
export interface Returned {
  state: string
  code: string
  holder: string
  /** Where she wanted to go. */
  next: string
}

/** What the provider has put into the address, with the secret that was kept for it.
 *
 * @returns undefined = a terminal of this machine waits for it; the page is being left.
 * @throws ApiError where the provider let nobody in.
 */
export function returned(search: string): Returned | undefined {
  const query = new URLSearchParams(search)
  const state = query.get('state') ?? ''
  const port = /^([1-9][0-9]{0,4})\./.exec(state)
  if (port) {
    location.replace(`http://127.0.0.1:${port[1]}/?${query}`)
    return undefined
  }
  const code = query.get('code')
  if (!code) throw new ApiError({ message: query.get('error_description') ?? query.get('error') ?? 'the provider gave no code' }, 0)
  const came = { state, code, holder: sessionStorage.getItem(HOLDER) ?? '', next: sessionStorage.getItem(NEXT) ?? '/' }
  sessionStorage.removeItem(HOLDER)
  sessionStorage.removeItem(NEXT)
  return came
}

/** Finish a login at the provider; with user and password, tie it to that user.
 *
 * @returns where to go.
 * @throws ApiError with status 409 for who has a password and has not shown it: the same may be finished once more with it.
 */
export async function finishOidc({ state, code, holder, next }: Returned, user = '', password = ''): Promise<string> {
  await byTicket((await post('/v1/login/oidc/finish', { state, code, holder, user, password })).ticket)
  return next
}
